import type { Bbox } from '@app/shared/messages';
import { encodeHidden, encodePositionsHead } from '../protocol/batched-dialect.ts';
import type { Frame, Subscription } from '../subscriptions/subscription.ts';
import type { Audience } from './audience.ts';
import { isWithin } from './bbox.ts';
import { encodeRowOnce } from './device-index.ts';
import type { DeviceSet } from './device-set.ts';
import type { RateGroup } from './rate-group.ts';
import type { RecentDevice } from './shared-frames.ts';

/**
 * The changed devices of one flush with their rows, encoded once for all live subscriptions with a box. Typed arrays
 * instead of objects, because each of these subscriptions scans all of them in every flush.
 */
export interface EncodedRows {
  readonly indexes: Int32Array;
  readonly latitudes: Float64Array;
  readonly longitudes: Float64Array;
  /** The concatenated rows, each followed by a comma. */
  readonly bytes: Buffer;
  /** The offset of each row in `bytes`, and the end of the last one. */
  readonly starts: Int32Array;
  /** Changed devices without a recent fix. */
  readonly notRecent: readonly number[];
}

const closingBracket = 0x5d;
const closingBrace = 0x7d;

export function encodeRows(changed: DeviceSet, recent: readonly RecentDevice[]): EncodedRows {
  const notRecent: number[] = [];
  if (recent.length < changed.size) {
    const recentIndexes = new Set(recent.map(({ index }) => index));
    for (const index of changed) if (!recentIndexes.has(index)) notRecent.push(index);
  }
  const rows = recent.map(({ indexed, fix }) => `${encodeRowOnce(indexed, fix)},`);
  const starts = new Int32Array(rows.length + 1);
  for (const [n, { length }] of rows.entries()) starts[n + 1] = (starts[n] ?? 0) + length;
  return {
    indexes: Int32Array.from(recent, ({ index }) => index),
    latitudes: Float64Array.from(recent, ({ fix }) => fix.latitude),
    longitudes: Float64Array.from(recent, ({ fix }) => fix.longitude),
    bytes: Buffer.from(rows.join(''), 'latin1'),
    starts,
    notRecent,
  };
}

/**
 * Writes one flush to a live subscription with a box, if all of it fits into one frame, as it usually does.
 *
 * The frame is built in `scratch` by copying runs of adjacent rows. A new string or buffer per subscription and flush
 * would make garbage collection the largest cost. The socket has copied the frame when `writeFrames` returns.
 *
 * @returns the number of positions written; undefined if the caller must write everything again in the ordinary way.
 */
export function writeBboxRows(
  subscription: Subscription,
  bbox: Bbox,
  { indexes, latitudes, longitudes, bytes, starts, notRecent }: EncodedRows,
  group: RateGroup,
  audience: Audience,
  scratch: Buffer,
): number | undefined {
  const { shown, recipient, topic } = subscription;
  if (shown === undefined || subscription.controlSeq !== audience.controlSeq || !recipient.isWritable())
    return undefined;
  const head = encodePositionsHead(topic, audience.cursorAt(group.coveredOffset, subscription.bboxHash));
  let frameBytes = scratch.write(head, 0, 'latin1');
  const hidden = notRecent.length > 0 ? notRecent.filter((index) => shown.has(index)) : [];
  let positions = 0;
  // The run of adjacent rows that has not been copied yet.
  let runStart = 0;
  let runEnd = 0;
  const west = bbox[0];
  const south = bbox[1];
  const east = bbox[2];
  const north = bbox[3];
  for (let n = 0; n < indexes.length; n += 1) {
    const index = indexes[n] ?? 0;
    if (isWithin(west, south, east, north, latitudes[n] ?? 0, longitudes[n] ?? 0)) {
      const rowStart = starts[n] ?? 0;
      if (rowStart !== runEnd) {
        frameBytes += bytes.copy(scratch, frameBytes, runStart, runEnd);
        runStart = rowStart;
      }
      runEnd = starts[n + 1] ?? 0;
      positions += 1;
      shown.add(index);
      // Two bytes are kept for the closing brackets.
      if (frameBytes + runEnd - runStart > scratch.length - 2) return undefined;
    } else if (shown.has(index)) {
      hidden.push(index);
    }
  }
  frameBytes += bytes.copy(scratch, frameBytes, runStart, runEnd);
  const frames: Frame[] = [];
  if (hidden.length > 0) {
    const ids = hidden.flatMap((index) => audience.devices.at(index)?.device.id ?? []);
    frames.push(...encodeHidden(topic, ids));
  }
  if (positions > 0) {
    // Overwrites the comma after the last row.
    scratch[frameBytes - 1] = closingBracket;
    scratch[frameBytes] = closingBrace;
    frames.push(scratch.subarray(0, frameBytes + 1));
  }
  if (frames.length === 0) return 0;
  if (recipient.writeFrames(frames) < frames.length) return undefined;
  for (const index of hidden) shown.delete(index);
  return positions;
}
