import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import type { DeadLetter } from '../../src/stream/dead-letter.ts';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import type { SentEntry } from './ledger.ts';

/** What is really in Postgres and in Redis at one moment. */
export interface Evidence {
  /** `device@fix time` → the content of the row. */
  readonly rows: ReadonlyMap<string, string>;
  readonly letters: readonly DeadLetter[];
}

export function keyOf({ deviceId, fixAtMs }: Pick<SentEntry, 'deviceId' | 'fixAtMs'>): string {
  return `${deviceId}@${fixAtMs}`;
}

/** Looks at the table and the dead letters. Throws if a key is there twice. */
export async function gatherEvidence(options: {
  readonly sql: postgres.Sql;
  readonly redis: Redis;
  readonly deviceIds: readonly string[];
  readonly stream: string;
}): Promise<Evidence> {
  const { sql, redis, deviceIds, stream } = options;
  const [rows, letters] = await Promise.all([
    sql<{ deviceId: string; fixAtMs: number; content: string }[]>`
      select device_id as "deviceId", (extract(epoch from ts) * 1000)::float8 as "fixAtMs",
             attributes ->> 'content' as content
      from positions where device_id in ${sql(deviceIds)}`,
    readDeadLetters(redis, stream),
  ]);
  const byKey = new Map(rows.map((row) => [keyOf(row), row.content]));
  if (byKey.size !== rows.length) throw new Error('a key is in positions twice');
  return { rows: byKey, letters };
}

/** Whether the row of this entry's key holds this entry. */
export function isStored(entry: SentEntry, { rows }: Evidence): boolean {
  return entry.isStorable && rows.get(keyOf(entry)) === entry.content;
}

export function isParked(entry: SentEntry, { letters }: Evidence): boolean {
  return letters.some(({ cause }) => cause.dlq_entry_id === entry.id);
}
