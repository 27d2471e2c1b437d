import { entryArrivedAtMs, receiveFields } from '@app/shared/entry';
import { fixQuality } from '@app/shared/quality';
import { CodecError } from '@app/shared/codec';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { StreamEntry } from './read-stream.ts';

/** What became of an entry; a metric's label. */
export type EntryResult =
  /** The device's marker moves. */
  | 'newest'
  /** A late or repeated fix: stored by the processor, no news here. */
  | 'not_newer'
  /** A fix with a quality flag never moves a marker. */
  | 'flagged'
  /** Of a device that is in no event. */
  | 'orphan'
  /** The processor puts it among the dead letters. */
  | 'undecodable';

export interface ApplyContext {
  readonly latest: LatestFixes;
  /** The stream's number in `REDIS_TELEMETRY_STREAM`. */
  readonly streamNumber: number;
  readonly isAssigned: (imei: string) => boolean;
  readonly markChanged: (imei: string) => void;
  readonly noteUnassigned: (imei: string) => void;
  /** `FUTURE_FLAG_MS`: the processor must judge fixes alike. */
  readonly futureFlagMs: number;
}

/** Takes one entry of the stream into `latest`. Synchronous: a fix is in `latest` and marked for everyone, or neither. */
export function applyEntry(entry: StreamEntry, context: ApplyContext): EntryResult {
  const record = receiveFields(entry.fields);
  if (record instanceof CodecError) return 'undecodable';
  const { position } = record;
  const { deviceId } = position;
  const arrivedAtMs = entryArrivedAtMs(entry.id);
  const fix = {
    deviceId,
    fixAtMs: position.fixAtMs,
    latitude: position.latitude,
    longitude: position.longitude,
    altitudeM: position.altitudeM,
    courseDeg: position.courseDeg,
    speedKmh: position.speedKmh,
    arrivedAtMs,
    stamp: { stream: context.streamNumber, id: entry.id },
  };
  const isGood = fixQuality(position, arrivedAtMs, context.futureFlagMs) === 0;
  if (!context.isAssigned(deviceId)) {
    context.noteUnassigned(deviceId);
    if (isGood) context.latest.remember(fix);
    return 'orphan';
  }
  if (!isGood) return 'flagged';
  if (!context.latest.offer(fix)) return 'not_newer';
  context.markChanged(deviceId);
  return 'newest';
}
