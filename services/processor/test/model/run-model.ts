import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import pLimit from 'p-limit';
import postgres from 'postgres';
import type { OwnRedis } from '@app/test-kit/redis';
import { runPlan } from './run-plan.ts';
import { planOf } from './steps.ts';

export interface ModelOptions {
  /** Shared by most runs. */
  readonly redisUrl: string;
  /** Every sixteenth run has one of these to itself, and restarts it. */
  readonly ownRedises: readonly OwnRedis[];
  /** A migrated database of the model's own. */
  readonly postgresUrl: string;
  readonly keyPrefix: string;
  /** Run number i is drawn from `seed` + i, so that each run is repeated by its own seed. */
  readonly seed: number;
  readonly runs: number;
  /** Most of a run is waiting, for BLOCK, for a retry, for a deadline. */
  readonly runsAtOnce: number;
  /** A run in which nothing moves for so long, and not all is done, has failed. */
  readonly stillLimitMs: number;
  /** How long a failing run may be made smaller. */
  readonly shrinkLimitMs: number;
  /** After so many the rest of the runs is left out. */
  readonly enoughFailures: number;
}

export interface ModelReport {
  /** One text for each run that broke the promise, with all that happened in it. */
  readonly failures: readonly string[];
  /** How often each thing happened in all runs: `insert: late`, `dead`, … */
  readonly happened: ReadonlyMap<string, number>;
}

const connections = 12;
const restartsIn = 16;

// Rows that Postgres refuses, as real ones are refused: by the class of the error.
const refuseMarkedRows = `
  create or replace function refuse_marked() returns trigger language plpgsql as $$
  begin
    if new.attributes ? 'refuse' then
      raise exception 'planted' using errcode = new.attributes ->> 'refuse';
    end if;
    return new;
  end $$;
  create or replace trigger refuse_marked before insert on positions
    for each row execute function refuse_marked()`;

/** Plays random plans against the real core, real Redis and real Postgres. */
export async function runModel(options: ModelOptions): Promise<ModelReport> {
  const { seed, runs, enoughFailures } = options;
  await using servers = await openServers(options);
  const happened = new Map<string, number>();
  const failures: string[] = [];
  const play = async (runSeed: number): Promise<void> => {
    if (failures.length >= enoughFailures) return;
    const hasOwnRedis = runSeed % restartsIn === 0 && options.ownRedises.length > 0;
    const server = hasOwnRedis ? servers.own.pop() : servers.shared;
    if (server === undefined) throw new Error('more runs at once than Redis servers');
    try {
      const failure = await playSeed(runSeed, { ...options, sql: servers.sql, server, happened });
      if (failure !== undefined) failures.push(failure);
    } finally {
      if (hasOwnRedis) servers.own.push(server);
    }
  };
  const seeds = Array.from({ length: runs }, (_, n) => seed + n);
  const [restarting, others] = [pLimit(Math.max(1, options.ownRedises.length)), pLimit(options.runsAtOnce)];
  await Promise.all(seeds.map((each) => (each % restartsIn === 0 ? restarting : others)(() => play(each))));
  return { failures, happened };
}

interface ControlledRedis {
  readonly url: string;
  /** Straight to it, past all troubles. */
  readonly redis: Redis;
  readonly restart?: () => Promise<void>;
}

async function openServers(options: ModelOptions) {
  await using stack = new AsyncDisposableStack();
  const open = (url: string): Redis => {
    const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    // It is restarted on purpose.
    redis.on('error', () => undefined);
    return stack.adopt(redis, () => {
      redis.disconnect();
    });
  };
  const shared: ControlledRedis = { url: options.redisUrl, redis: open(options.redisUrl) };
  const own = options.ownRedises.map((server): ControlledRedis => {
    const restart = async (): Promise<void> => {
      await server.kill();
      await server.start();
    };
    return { url: server.url, redis: open(server.url), restart };
  });
  const sql = postgres(options.postgresUrl, { max: connections, onnotice: () => undefined });
  stack.defer(() => sql.end());
  await sql.unsafe(refuseMarkedRows);
  const owned = stack.move();
  return { shared, own, sql, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function playSeed(
  seed: number,
  options: ModelOptions & {
    readonly server: ControlledRedis;
    readonly sql: postgres.Sql;
    readonly happened: Map<string, number>;
  },
): Promise<string | undefined> {
  const { server, sql, keyPrefix, shrinkLimitMs, stillLimitMs } = options;
  let tries = 0;
  let failedAtMs = Number.POSITIVE_INFINITY;
  const property = fc.asyncProperty(planOf(server.restart !== undefined), async (plan) => {
    // Time is up: what is smaller is no longer tried.
    if (performance.now() - failedAtMs > shrinkLimitMs) return;
    tries += 1;
    const run = `${seed}x${tries}`;
    const { accusations, notes, happened } = await runPlan(plan, {
      redisUrl: server.url,
      redis: server.redis,
      restartRedis: server.restart,
      sql,
      keyPrefix,
      run,
      stillLimitMs,
    });
    for (const [what, times] of happened) {
      options.happened.set(what, times + (options.happened.get(what) ?? 0));
    }
    if (accusations.length === 0) return;
    failedAtMs = Math.min(failedAtMs, performance.now());
    throw new BrokenPromise(accusations, notes);
  });
  const outcome = await fc.check(property, { seed, numRuns: 1 });
  if (!outcome.failed || outcome.counterexample === null) return undefined;
  const [counterexample] = outcome.counterexample;
  const { setup, steps } = counterexample;
  return [
    `MODEL_SEED=${seed} MODEL_RUNS=1 plays it again; made smaller ${outcome.numShrinks} times:`,
    JSON.stringify(setup),
    ...steps.map((step) => JSON.stringify(step)),
    outcome.errorInstance instanceof Error ? outcome.errorInstance.message : String(outcome.errorInstance),
  ].join('\n');
}

class BrokenPromise extends Error {
  constructor(accusations: readonly string[], notes: readonly string[]) {
    super(['Accusations:', ...accusations, 'What happened:', ...notes].join('\n'));
    this.name = 'BrokenPromise';
  }
}
