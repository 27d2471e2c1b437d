import { encodeFields } from '@app/shared/entry';
import { realisticRecords } from '@app/fleet-sim/realistic-records';
import type { Redis } from 'ioredis';

export interface BacklogOptions {
  readonly entries: number;
  readonly devices: number;
  readonly attributes?: number;
  /** How many of 100 entries repeat the one before: trackers send again what was not confirmed. */
  readonly repeatedPercent: number;
}

/** The flat XADD fields of a backlog, seeded: the same options give the same entries. */
export function* backlogFields(options: BacklogOptions): Generator<string[]> {
  const { entries, devices, attributes } = options;
  const records = realisticRecords({
    seed: 1,
    startAtMs: Date.UTC(2026, 5, 1),
    devices,
    ...(attributes === undefined ? {} : { attributes }),
  });
  let last: string[] | undefined;
  for (let number = 0; number < entries; number += 1) {
    if (last === undefined || !isRepeat(number, options)) {
      const next = records.next();
      if (next.done === true) return;
      last = encodeFields(next.value);
    }
    yield last;
  }
}

/** The number of rows of a backlog: repeated entries add none. */
export function countRows(options: BacklogOptions): number {
  let rows = 0;
  for (let number = 0; number < options.entries; number += 1) if (!isRepeat(number, options)) rows += 1;
  return rows;
}

function isRepeat(number: number, { repeatedPercent }: BacklogOptions): boolean {
  return number > 0 && number % 100 < repeatedPercent;
}

/** Fills a stream, 1,000 entries at a time. */
export async function fillStream(redis: Redis, stream: string, options: BacklogOptions): Promise<void> {
  let pipeline = redis.pipeline();
  for (const fields of backlogFields(options)) {
    pipeline.xadd(stream, '*', ...fields);
    if (pipeline.length < 1000) continue;
    await pipeline.exec();
    pipeline = redis.pipeline();
  }
  await pipeline.exec();
}
