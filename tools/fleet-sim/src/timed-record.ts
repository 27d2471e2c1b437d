import type { TelemetryRecord } from '@app/shared/entry';

/** A record and the time (epoch ms) at which its tracker sends it. */
export interface TimedRecord {
  readonly sendAtMs: number;
  readonly record: TelemetryRecord;
}
