import type { TelemetryRecord } from '@app/shared/entry';
import { race } from './race.ts';
import { noTrouble } from './trouble.ts';

export interface RealisticRecordsOptions {
  readonly seed: number;
  readonly startAtMs: number;
  /** Default 1,000. */
  readonly devices?: number;
  /** Exactly so many attributes in each; by default as many as a tracker sends, 14 to 20. */
  readonly attributes?: number;
}

/**
 * Records for a load: a fix a second of each device, in turn, all different, without
 * end and without trouble, with attributes of all kinds.
 */
export function* realisticRecords(options: RealisticRecordsOptions): Generator<TelemetryRecord> {
  const { seed, startAtMs, devices = 1_000, attributes } = options;
  for (const { record } of race({
    seed,
    startAtMs,
    vehicles: devices,
    startIntervalMs: 0,
    trouble: noTrouble,
  })) {
    yield attributes === undefined ? record : withAttributes(record, attributes);
  }
}

function withAttributes(record: TelemetryRecord, count: number): TelemetryRecord {
  const own = Object.entries(record.position.attributes);
  // IO ids from 10,000 on are vendors' own ranges: none collides with a real one here.
  const more = Array.from(
    { length: Math.max(0, count - own.length) },
    (_, index) => [10_000 + index, index * 7] as const,
  );
  return {
    ...record,
    position: { ...record.position, attributes: Object.fromEntries([...own.slice(0, count), ...more]) },
  };
}
