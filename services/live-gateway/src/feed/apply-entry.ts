import type { ClockMonitor } from '@app/runtime/clock-monitor';
import { entryArrivedAtMs, decodeFields } from '@app/shared/entry';
import { fixQuality } from '@app/shared/quality';
import { CodecError } from '@app/shared/codec';
import type { UnassignedDevices } from '../assignments/unassigned-devices.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { StreamEntry } from './read-stream.ts';

/** The outcome of applying an entry; label `result` of `live_stream_entries_total`. */
export type EntryResult =
  /** The device has a new latest fix. */
  | 'newest'
  /** Late or duplicate fix: stored by the processor, not shown. */
  | 'not_newer'
  /** A fix with a quality flag never becomes the latest. */
  | 'flagged'
  /** Fix of an unassigned device. */
  | 'orphan'
  /** The processor writes it to the dead-letter stream. */
  | 'undecodable';

/** What entries are applied to. */
export interface ApplyTarget {
  readonly latest: LatestFixes;
  readonly registry: {
    isAssigned(imei: string): boolean;
    markChanged(imei: string): void;
  };
  readonly unassigned: Pick<UnassignedDevices, 'note'>;
  readonly clocks: Pick<ClockMonitor, 'arrivedAtMs' | 'ageMs'>;
  /** `FUTURE_FLAG_MS`; must equal the processor's, or the two flag different fixes. */
  readonly futureFlagMs: number;
}

/**
 * Applies one stream entry to the latest fixes. Synchronous: a new latest fix and its mark in the registry appear
 * together.
 *
 * @param streamNumber index of the entry's stream in `REDIS_TELEMETRY_STREAM`.
 */
export function applyEntry(entry: StreamEntry, streamNumber: number, target: ApplyTarget): EntryResult {
  const record = decodeFields(entry.fields);
  if (record instanceof CodecError) return 'undecodable';
  const { position } = record;
  const { deviceId } = position;
  const idMs = entryArrivedAtMs(entry.id);
  const arrivedAtMs = target.clocks.arrivedAtMs(idMs);
  const fix = {
    deviceId,
    fixAtMs: position.fixAtMs,
    latitude: position.latitude,
    longitude: position.longitude,
    altitudeM: position.altitudeM,
    courseDeg: position.courseDeg,
    speedKmh: position.speedKmh,
    arrivedAtMs: Number.isNaN(target.clocks.ageMs(idMs)) ? undefined : arrivedAtMs,
    entryRef: { stream: streamNumber, id: entry.id },
  };
  const isGood = fixQuality(position, arrivedAtMs, target.futureFlagMs) === 0;
  if (!target.registry.isAssigned(deviceId)) {
    target.unassigned.note(deviceId);
    if (isGood) target.latest.offerUnassigned(fix);
    return 'orphan';
  }
  if (!isGood) return 'flagged';
  if (!target.latest.offer(fix)) return 'not_newer';
  target.registry.markChanged(deviceId);
  return 'newest';
}
