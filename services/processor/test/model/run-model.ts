import { type OwnRedis, startOwnRedis, startRedis } from '@app/test-kit/redis';
import { startPostgres } from '@app/test-kit/postgres';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import pLimit, { type LimitFunction } from 'p-limit';
import postgres from 'postgres';
import { refuseRows } from '../support/refuse-rows.ts';
import { drawPlan } from './plan.ts';
import { RunContext, type RunServers } from './run-context.ts';
import { runPlan } from './run-plan.ts';
import { refusingStates } from './sent-log.ts';

export interface ModelOptions {
  /** Run n has the seed `seed` + n, so that each can be repeated alone. */
  readonly seed: number;
  readonly runs: number;
  readonly concurrency: number;
  /** Number of Redis servers that are restarted; every sixteenth run has one to itself. */
  readonly ownRedises: number;
  /** A run fails in which entries are left and nothing has changed for that long. */
  readonly stillLimitMs: number;
  /** No more runs are started after that many failures. */
  readonly maxFailures: number;
  /** Whether a failing run is made smaller. */
  readonly isShrunk: boolean;
}

const restartsIn = 16;

/**
 * Runs random plans on the real loop, a real Redis and a real Postgres. Resolves with a description of each run that broke
 * the promise, and with how often each kind of step, fault and ending occurred.
 */
export async function runModel(options: ModelOptions) {
  const { seed, runs, maxFailures } = options;
  await using stack = new AsyncDisposableStack();
  const { url, keyPrefix } = stack.use(await startRedis());
  const sql = postgres(stack.use(await startPostgres()).url, { max: 12, onnotice: () => undefined });
  stack.defer(() => sql.end());
  for (const state of refusingStates) await refuseRows(sql, `refused-${state}`, state);
  const connect = (redisUrl: string, limit: LimitFunction, own?: OwnRedis) => {
    const redis = new Redis(redisUrl, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    redis.on('error', () => undefined);
    stack.defer(() => redis.disconnect());
    const restart = own && { restartRedis: () => own.kill().then(() => own.start()) };
    const servers: RunServers = { redisUrl, redis, sql, ...restart };
    return { servers, limit };
  };
  const shared = connect(url, pLimit(options.concurrency));
  const starting = Array.from({ length: options.ownRedises }, async () => stack.use(await startOwnRedis()));
  const own = (await Promise.all(starting)).map((redis) => connect(redis.url, pLimit(1), redis));

  const counts = new Map<string, number>();
  const failures: string[] = [];
  const runOne = async (runSeed: number, servers: RunServers): Promise<void> => {
    if (failures.length >= maxFailures) return;
    let attempts = 0;
    const property = fc.asyncProperty(drawPlan(servers.restartRedis !== undefined), async (plan) => {
      const run = new RunContext(servers, `${runSeed}x${(attempts += 1)}`, keyPrefix);
      await runPlan(run, plan, options.stillLimitMs);
      for (const [what, times] of run.counts) counts.set(what, times + (counts.get(what) ?? 0));
      if (run.violations.length > 0) throw new Error([...run.violations, '', ...run.notes].join('\n'));
    });
    const limit = { interruptAfterTimeLimit: 120_000, markInterruptAsFailure: true };
    const report = { endOnFailure: !options.isShrunk, includeErrorInReport: true };
    await fc.assert(property, { seed: runSeed, numRuns: 1, ...limit, ...report }).catch((error: unknown) => {
      failures.push(`MODEL_SEED=${runSeed} MODEL_RUNS=1 repeats this run. ${String(error)}`);
    });
  };
  await Promise.all(
    Array.from({ length: runs }, (_, n) => {
      const runSeed = seed + n;
      const ownLane = runSeed % restartsIn === 0 ? own[(runSeed / restartsIn) % own.length] : undefined;
      const { servers, limit } = ownLane ?? shared;
      return limit(() => runOne(runSeed, servers));
    }),
  );
  return { failures, counts };
}
