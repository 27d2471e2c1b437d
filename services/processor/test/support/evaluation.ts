import type { TelemetryRecord } from '@app/shared/entry';
import { openServerFixture } from '@app/test-kit/server-fixture';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import { createStoredFixesStep } from '../../src/domain/append-stored-fixes.ts';
import { EventEvaluator } from '../../src/domain/evaluator/event-evaluator.ts';
import { claimEvent } from '../../src/domain/evaluator/event-lease.ts';
import { createRunningEventsLister } from '../../src/domain/list-running-events.ts';
import { RunningDevices } from '../../src/domain/running-devices.ts';
import type { Fix } from '../../src/fix.ts';
import type { WrittenFixes } from '../../src/store/write-fixes.ts';
import { fix } from './fixes.ts';
import { observe, type Observed } from './observed.ts';
import { openWriter } from './open-writer.ts';
import { openClient, type TestClient } from './postgres-clients.ts';

/** What a processor does after the commit, and the evaluator, step by step in this process. */
export interface TestEvaluation extends Observed, AsyncDisposable {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly client: TestClient['client'];
  readonly devices: RunningDevices;
  /** What the evaluators take for the time until which records are stored: no state is known without it. */
  readonly stored: { untilMs: number | undefined };
  /** Commits fixes, and does nothing else. */
  write(records: readonly TelemetryRecord[]): Promise<WrittenFixes>;
  /** What follows the commit. */
  announce(written: WrittenFixes): Promise<void>;
  /** Both. */
  store(records: readonly TelemetryRecord[]): Promise<void>;
  /** As fixes that are older than `PAST_LIMIT_MS`. */
  storePastLimit(records: readonly TelemetryRecord[]): Promise<void>;
  /** A new evaluator, which takes the event over. */
  open(eventId: string): Promise<EventEvaluator>;
  /** Evaluates until nothing is left to do. */
  settle(evaluator: EventEvaluator): Promise<void>;
}

const never = new AbortController().signal;

export async function openEvaluation(
  given: Parameters<typeof openServerFixture>[0] = {},
): Promise<TestEvaluation> {
  await using stack = new AsyncDisposableStack();
  const { redis, sql, postgresUrl } = stack.use(await openServerFixture(given));
  const seen = observe();
  const { client } = stack.use(openClient(postgresUrl, seen.log));
  const { writer } = stack.use(openWriter(postgresUrl));
  const stored: TestEvaluation['stored'] = { untilMs: undefined };
  const storedUntilMs = () => Promise.resolve(stored.untilMs);
  const resources = { redis, postgres: client, storedUntilMs, metrics: seen.metrics, log: seen.log };
  const devices = stack.use(new RunningDevices(client, createRunningEventsLister(seen.log), seen.log));
  const step = createStoredFixesStep({ ...resources, devices });
  const owned = stack.move();

  const write = (records: readonly TelemetryRecord[], isPastLimit = false) =>
    writer.write(
      records.map(({ position }) => ({ ...fix(position), isPastLimit })),
      never,
    );
  const announce = ({ durable, repeated }: WrittenFixes) =>
    step(durable.map(transitionOf), { stream: 'telemetry', repeated, signal: never });
  return {
    ...seen,
    redis,
    sql,
    client,
    devices,
    stored,
    write: (records) => write(records),
    announce,
    store: async (records) => announce(await write(records)),
    storePastLimit: async (records) => announce(await write(records, true)),
    open: async (eventId) => {
      const lease = await claimEvent(client, eventId, 'test');
      if (!lease) throw new Error('the event is held by another processor');
      return new EventEvaluator(lease, resources);
    },
    settle: async (evaluator) => {
      // Marks of dirty devices are deleted by the evaluation after the one that observed them.
      for (let n = 0; n < 2 || evaluator.dirtyCount > 0; n += 1) await evaluator.evaluate(never, true);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function transitionOf(one: Fix) {
  const state = { lastFix: undefined, lastSeenAtMs: 0 };
  return { fix: one, before: state, after: state };
}
