import assert from 'node:assert/strict';
import { readDeadLetters } from '@app/demo/dead-letters';
import { keyOf, readStoredRecords } from '@app/demo/stored-records';
import type { TimedBadRecord } from '@app/fleet-sim/corrupt-record';
import type { TimedRecord } from '@app/fleet-sim/timed-record';
import { eventually } from '@app/test-kit/eventually';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';

interface CheckOptions {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly stream: string;
  /** All records added to Redis. */
  readonly sent: readonly (TimedRecord | TimedBadRecord)[];
  /** Maximum time of the processor to process the remaining entries. */
  readonly drainTimeoutMs: number;
}

/**
 * Throws unless every good record is stored once and unchanged, each corrupt one is a dead letter with its bytes, nothing
 * else is stored, and no entry is unread or pending.
 */
export async function checkNothingLost({
  redis,
  sql,
  stream,
  sent,
  drainTimeoutMs,
}: CheckOptions): Promise<{ readonly stored: number; readonly parked: number }> {
  await eventually(() => checkAllRead(redis, stream), { timeoutMs: drainTimeoutMs, intervalMs: 250 });

  const good = sent.filter((timed) => 'record' in timed);
  const expected = new Map(good.map(({ record }) => [keyOf(record), record]));
  const stored = await readStoredRecords(sql);
  expectNone('records not stored', missingFrom(stored, expected.keys()));
  expectNone('rows that were not sent', missingFrom(expected, stored.keys()));
  for (const [key, record] of expected)
    assert.deepEqual(stored.get(key), record, `${key} differs from what was sent`);

  const bad = sent.flatMap((timed) => ('bad' in timed ? [timed.bad] : []));
  const expectedDeadLetters = new Set(
    bad.map(({ fields }) => fields.map((field) => Buffer.from(field).toString('hex')).join()),
  );
  // A dead letter is written before the acknowledgement, so after a kill it may exist twice.
  const parked = new Set((await readDeadLetters(redis, stream)).map(({ original }) => original.join()));
  expectNone('corrupt records without a dead letter', missingFrom(parked, expectedDeadLetters));
  expectNone('dead letters that were not sent', missingFrom(expectedDeadLetters, parked));
  return { stored: stored.size, parked: parked.size };
}

async function checkAllRead(redis: Redis, stream: string): Promise<true> {
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  assert.ok(Array.isArray(groups));
  const processor = groups.map(fromPairs).find((group) => group.get('name') === 'processor');
  assert.ok(processor, 'the consumer group processor does not exist');
  assert.deepEqual({ pending: processor.get('pending'), lag: processor.get('lag') }, { pending: 0, lag: 0 });
  return true;
}

/** XINFO returns each group as a flat list: name, value, name, value, … */
function fromPairs(pairs: unknown): ReadonlyMap<unknown, unknown> {
  const list: readonly unknown[] = Array.isArray(pairs) ? pairs : [];
  return new Map(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1]] as const] : [])));
}

function missingFrom(
  actual: ReadonlyMap<string, unknown> | ReadonlySet<string>,
  expected: Iterable<string>,
): readonly string[] {
  return [...expected].filter((key) => !actual.has(key));
}

function expectNone(what: string, keys: readonly string[]): void {
  if (keys.length > 0) throw new Error(`${what} (${keys.length}): ${keys.slice(0, 3).join('; ')}`);
}
