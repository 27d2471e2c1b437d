import { eventually } from '@app/test-kit/eventually';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import { deadLetterStream, decodeDeadLetter, type DeadLetter } from '../../src/stream/dead-letter.ts';
import type { SentEntry } from './telemetry.ts';

export interface Promised {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly stream: string;
  readonly group?: string;
  /** All entries ever added to the stream and not trimmed unread. */
  readonly sent: readonly SentEntry[];
  /** The reason by entry id, for those that belong in the dead letters; all others belong in the table. */
  readonly deadLettered?: ReadonlyMap<string, string>;
}

/** Waits until `checkAllStored` passes. */
export async function expectAllStored(promised: Promised, timeoutMs = 60_000): Promise<void> {
  await eventually(
    async () => {
      await checkAllStored(promised);
      return true;
    },
    { timeoutMs, intervalMs: 50 },
  );
}

/**
 * Throws unless every entry sent is in `positions` or `positions_past_limit` exactly once, as it was sent, or in the dead letters with its reason
 * and bytes; nothing else is there, everything is read and nothing is pending.
 */
export async function checkAllStored(promised: Promised): Promise<void> {
  const {
    redis,
    sql,
    stream,
    group = 'processor',
    sent,
    deadLettered = new Map<string, string>(),
  } = promised;
  const groupState = new Map(Object.entries(await readGroup(redis, stream, group)));
  const lastId = sent.at(-1)?.id ?? groupState.get('last-delivered-id') ?? '';
  assertSame('the group', groupState, new Map(Object.entries({ pending: '0', 'last-delivered-id': lastId })));

  const deadLetters = await readDeadLetters(redis, stream);
  const byEntry = new Map(deadLetters.map((deadLetter) => [deadLetter.cause.dlq_entry_id, deadLetter]));
  const reasons = new Map([...byEntry].map(([id, { cause }]) => [id, cause.dlq_reason]));
  assertSame('the dead letters', reasons, deadLettered);
  const bytesSent = new Map(
    sent.flatMap(({ id, fields }) => (deadLettered.has(id) ? [[id, hex(fields)]] : [])),
  );
  const bytesKept = new Map([...byEntry].map(([id, { fields }]) => [id, hex(fields)]));
  assertSame('the bytes of the dead letters', bytesKept, bytesSent);

  const rows = new Map<string, string>();
  for (const { id, position } of sent) {
    if (deadLettered.has(id) || position === undefined) continue;
    const { deviceId, fixAtMs, latitude, longitude, speedKmh } = position;
    rows.set(`${deviceId} ${fixAtMs}`, `once ${latitude} ${longitude} ${speedKmh}`);
  }
  assertSame('the positions', await readPositions(sql), rows);
}

/** All dead letters of the stream, oldest first. */
export async function readDeadLetters(redis: Redis, stream: string): Promise<readonly DeadLetter[]> {
  const entries = await redis.xrangeBuffer(deadLetterStream(stream), '-', '+');
  return entries.map(([id, fields]) => {
    const deadLetter = decodeDeadLetter(id.toString(), fields);
    if (deadLetter === undefined) throw new Error(`${id.toString()} is no dead letter`);
    return deadLetter;
  });
}

async function readPositions(sql: Sql): Promise<ReadonlyMap<string, string>> {
  const rows = await sql<{ key: string; times: number; content: string[] }[]>`
    select device_id || ' ' || (extract(epoch from ts) * 1000)::bigint as key, count(*)::int as times,
           array_agg(latitude || ' ' || longitude || ' ' || speed) as content
    from (select * from positions union all select * from positions_past_limit) as stored group by 1`;
  return new Map(
    rows.map(({ key, times, content }) => [
      key,
      `${times === 1 ? 'once' : `${times} times`} ${content.join(', ')}`,
    ]),
  );
}

async function readGroup(redis: Redis, stream: string, group: string): Promise<Record<string, string>> {
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  for (const flat of Array.isArray(groups) ? groups : []) {
    const field = (name: string): string =>
      Array.isArray(flat) ? String(flat[flat.indexOf(name) + 1]) : 'nothing';
    if (field('name') !== group) continue;
    return { pending: field('pending'), 'last-delivered-id': field('last-delivered-id') };
  }
  throw new Error(`the stream has no group ${group}`);
}

// A diff of thousands of rows is unreadable and takes longer than an attempt.
function assertSame(
  what: string,
  found: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): void {
  const keys = new Set([...wanted.keys(), ...found.keys()]);
  const different = [...keys].filter((key) => found.get(key) !== wanted.get(key));
  if (different.length === 0) return;
  const some = different
    .slice(0, 5)
    .map((key) => `${key}: ${found.get(key) ?? 'missing'} instead of ${wanted.get(key) ?? 'nothing'}`);
  throw new Error(`${what} differ in ${different.length} of ${keys.size}: ${some.join('; ')}`);
}

function hex(fields: readonly Buffer[]): string {
  return fields.map((field) => field.toString('hex')).join(' ');
}
