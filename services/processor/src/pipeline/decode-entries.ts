import { CodecError } from '@app/shared/codec';
import { entryArrivedAtMs, decodeFields, decodeRecord } from '@app/shared/entry';
import { fixQuality } from '@app/shared/quality';
import type { Fix, Rejected } from '../fix.ts';
import type { Entry } from '../stream/entry-reply.ts';

export interface DecodedEntries {
  readonly fixes: readonly Fix[];
  readonly rejected: readonly Rejected[];
}

/** How much later or earlier than its arrival a fix time may be. */
export interface TimeLimits {
  readonly futureFlagMs: number;
  readonly futureLimitMs: number;
  readonly pastLimitMs: number;
}

const maxDeviceIdBytes = 64;

/** When an entry arrived, by its id. */
export type ArrivedAtMs = (entryId: string) => number;

/** Decodes a batch. A bad entry is returned as rejected with its reason; never throws. */
export function decodeEntries(
  entries: readonly Entry[],
  limits: TimeLimits,
  arrivedAt: ArrivedAtMs = entryArrivedAtMs,
): DecodedEntries {
  const fixes: Fix[] = [];
  const rejected: Rejected[] = [];
  for (const entry of entries) {
    const raw = entry.record;
    const record = raw === undefined ? decodeFields(entry.fields) : decodeRecord(raw);
    if (record instanceof CodecError) {
      const deviceId = producersDeviceId(entry);
      rejected.push({
        entry,
        reason: record.reason,
        detail: record.detail,
        ...(deviceId !== undefined && { deviceId }),
      });
      continue;
    }
    const arrivedAtMs = arrivedAt(entry.id);
    const aheadMs = record.position.fixAtMs - arrivedAtMs;
    if (aheadMs > limits.futureLimitMs) {
      rejected.push({
        entry,
        reason: 'future_limit',
        detail: `the fix is ${Math.round(aheadMs / 1000)} s later than its arrival; FUTURE_LIMIT_MS allows less`,
        deviceId: record.position.deviceId,
      });
      continue;
    }
    const quality = fixQuality(record.position, arrivedAtMs, limits.futureFlagMs);
    const isPastLimit = -aheadMs > limits.pastLimitMs;
    fixes.push({ entry, position: record.position, codec: record.codec, arrivedAtMs, quality, isPastLimit });
  }
  return { fixes, rejected };
}

/** The field that the producer adds beside the payload; nothing but the detection of mass rejections relies on it. */
function producersDeviceId({ fields }: Entry): string | undefined {
  const at = fields.findIndex((field, index) => index % 2 === 0 && field.toString('latin1') === 'device_id');
  return at < 0 ? undefined : fields[at + 1]?.toString('latin1', 0, maxDeviceIdBytes);
}
