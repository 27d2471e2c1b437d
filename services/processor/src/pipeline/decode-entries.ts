import { CodecError } from '@app/shared/codec';
import { entryArrivedAtMs, receiveFields, receiveRecord, type ReceivedRecord } from '@app/shared/entry';
import { fixQuality } from '@app/shared/quality';
import type { Entry } from '../stream/entry-reply.ts';

/** One decoded entry, with what its id and its content say about it. */
export interface Fix extends ReceivedRecord {
  readonly entry: Entry;
  /** Redis' clock, from the entry's id: the same at every redelivery. */
  readonly arrivedAtMs: number;
  /** Quality flags of @app/shared; 0 is a good fix. */
  readonly quality: number;
}

/** An entry that will not be stored, and why. */
export interface Rejected {
  readonly entry: Entry;
  readonly reason: string;
  readonly detail: string;
  readonly sqlState?: string;
  /** Known only for an entry that was decoded. */
  readonly deviceId?: string;
}

export interface DecodedEntries {
  readonly fixes: readonly Fix[];
  readonly rejected: readonly Rejected[];
}

export interface FutureLimits {
  readonly flagMs: number;
  readonly limitMs: number;
}

/** Decodes a batch. A bad entry becomes a rejected one with its reason; nothing is thrown. */
export function decodeEntries(entries: readonly Entry[], future: FutureLimits): DecodedEntries {
  const fixes: Fix[] = [];
  const rejected: Rejected[] = [];
  for (const entry of entries) {
    const raw = entry.record;
    const record = raw === undefined ? receiveFields(entry.fields) : receiveRecord(raw);
    if (record instanceof CodecError) {
      rejected.push({ entry, reason: record.reason, detail: record.detail });
      continue;
    }
    const arrivedAtMs = entryArrivedAtMs(entry.id);
    const aheadMs = record.position.fixAtMs - arrivedAtMs;
    if (aheadMs > future.limitMs) {
      rejected.push({
        entry,
        reason: 'future_limit',
        detail: `the fix lies ${Math.round(aheadMs / 1000)} s after its arrival, more than FUTURE_LIMIT_MS allows`,
      });
      continue;
    }
    const quality = fixQuality(record.position, arrivedAtMs, future.flagMs);
    fixes.push({ entry, position: record.position, codec: record.codec, arrivedAtMs, quality });
  }
  return { fixes, rejected };
}
