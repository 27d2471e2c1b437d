import type { TelemetryRecord } from '@app/shared/entry';
import { race } from './race.ts';
import { noTrouble } from './trouble.ts';

export interface RealisticRecordsOptions {
  readonly seed: number;
  readonly startAtMs: number;
  /** Default 1,000. */
  readonly devices?: number;
  /** Number of attributes per record. Default: as a tracker sends, 14 to 20. */
  readonly attributes?: number;
}

/** An endless load of distinct records: one fix per second and device, without faults, with attributes of all types. */
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
  // IO ids from 10,000 do not collide with those of the simulated sensors.
  const more = Array.from(
    { length: Math.max(0, count - own.length) },
    (_, index) => [10_000 + index, index * 7] as const,
  );
  return {
    ...record,
    position: { ...record.position, attributes: Object.fromEntries([...own.slice(0, count), ...more]) },
  };
}
