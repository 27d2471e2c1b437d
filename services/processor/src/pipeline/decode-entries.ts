import { CodecError } from '@app/shared/codec';
import { entryArrivedAtMs, decodeFields, decodeRecord, type DecodedRecord } from '@app/shared/entry';
import { fixQuality } from '@app/shared/quality';
import type { Entry } from '../stream/entry-reply.ts';

/** A decoded entry with its arrival time and quality. */
export interface Fix extends DecodedRecord {
  readonly entry: Entry;
  /** Redis' clock, from the entry's id, so the same at every redelivery. */
  readonly arrivedAtMs: number;
  /** Quality flags of @app/shared; 0 is a good fix. */
  readonly quality: number;
}

/** An entry that cannot be stored, with the reason. */
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

/** Decodes a batch. A bad entry is returned as rejected with its reason; never throws. */
export function decodeEntries(entries: readonly Entry[], future: FutureLimits): DecodedEntries {
  const fixes: Fix[] = [];
  const rejected: Rejected[] = [];
  for (const entry of entries) {
    const raw = entry.record;
    const record = raw === undefined ? decodeFields(entry.fields) : decodeRecord(raw);
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
        detail: `the fix is ${Math.round(aheadMs / 1000)} s later than its arrival; FUTURE_LIMIT_MS allows less`,
      });
      continue;
    }
    const quality = fixQuality(record.position, arrivedAtMs, future.flagMs);
    fixes.push({ entry, position: record.position, codec: record.codec, arrivedAtMs, quality });
  }
  return { fixes, rejected };
}
