import assert from 'node:assert/strict';
import { readDeadLetters } from '@app/demo/dead-letters';
import { keyOf, readStoredRecords } from '@app/demo/stored-records';
import type { TimedBadRecord } from '@app/fleet-sim/corrupt-record';
import type { TimedRecord } from '@app/fleet-sim/timed-record';
import { eventually } from '@app/test-kit/eventually';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';

export interface Evidence {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly stream: string;
  /** All that Redis has taken. */
  readonly sent: readonly (TimedRecord | TimedBadRecord)[];
  /** How long the processor may take for what is left to read. */
  readonly settleLimitMs: number;
}

export interface Proven {
  readonly stored: number;
  readonly parked: number;
}

/**
 * Throws unless every good record is stored once, as it was sent, and each bad one parked with its bytes, nothing else
 * is there, and nothing is unread or pending.
 */
export async function proveNothingLost({
  redis,
  sql,
  stream,
  sent,
  settleLimitMs,
}: Evidence): Promise<Proven> {
  await eventually(() => checkAllRead(redis, stream), { timeoutMs: settleLimitMs, intervalMs: 250 });

  const good = sent.filter((sending) => 'record' in sending);
  const wanted = new Map(good.map(({ record }) => [keyOf(record), record]));
  const stored = await readStoredRecords(sql);
  expectNone('records that are not stored', missingFrom(stored, wanted.keys()));
  expectNone('rows that nobody sent', missingFrom(wanted, stored.keys()));
  for (const [key, record] of wanted)
    assert.deepEqual(stored.get(key), record, `${key} is not as it was sent`);

  const bad = sent.flatMap((sending) => ('bad' in sending ? [sending.bad] : []));
  const toBeParked = new Set(
    bad.map(({ fields }) => fields.map((field) => Buffer.from(field).toString('hex')).join()),
  );
  // A dead letter is written before its entry is acknowledged, so after a kill it may be there twice.
  const parked = new Set((await readDeadLetters(redis, stream)).map(({ original }) => original.join()));
  expectNone('bad records that are not parked', missingFrom(parked, toBeParked));
  expectNone('dead letters of what nobody sent', missingFrom(toBeParked, parked));
  return { stored: stored.size, parked: parked.size };
}

async function checkAllRead(redis: Redis, stream: string): Promise<true> {
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  assert.ok(Array.isArray(groups));
  const processor = groups.map(fromPairs).find((group) => group.get('name') === 'processor');
  assert.ok(processor, 'the group of the processor is not there');
  assert.deepEqual({ pending: processor.get('pending'), lag: processor.get('lag') }, { pending: 0, lag: 0 });
  return true;
}

/** XINFO answers each group as a flat list: name, value, name, value, … */
function fromPairs(pairs: unknown): ReadonlyMap<unknown, unknown> {
  const list: readonly unknown[] = Array.isArray(pairs) ? pairs : [];
  return new Map(list.flatMap((name, index) => (index % 2 === 0 ? [[name, list[index + 1]] as const] : [])));
}

function missingFrom(
  there: ReadonlyMap<string, unknown> | ReadonlySet<string>,
  wanted: Iterable<string>,
): readonly string[] {
  return [...wanted].filter((key) => !there.has(key));
}

function expectNone(what: string, keys: readonly string[]): void {
  if (keys.length > 0) throw new Error(`${what} (${keys.length}): ${keys.slice(0, 3).join('; ')}`);
}
