import type { Bbox } from '@app/shared/messages';
import { encodeHidden, encodePositionsHead, encodeRow } from '../protocol/batched-dialect.ts';
import type { Frame, Subscription } from '../subscriptions/subscription.ts';
import type { Audience } from './audience.ts';
import { isWithin } from './bbox.ts';
import type { DeviceSet } from './device-set.ts';
import type { RateGroup } from './rate-group.ts';
import type { ShownDevice } from './shared-frames.ts';

/**
 * The changed devices of one flush with their rows, encoded once for all clients with a box. Columns rather than objects,
 * because every client of every flush iterates over all of them.
 */
export interface EncodedRows {
  readonly indexes: Int32Array;
  readonly latitudes: Float64Array;
  readonly longitudes: Float64Array;
  /** The rows one after the other, a comma after each. */
  readonly bytes: Buffer;
  /** Offset of each row in `bytes`, and of the end. */
  readonly starts: Int32Array;
  /** Devices without a position to show. */
  readonly gone: readonly number[];
}

export function encodeRows(changed: DeviceSet, shown: readonly ShownDevice[]): EncodedRows {
  const gone: number[] = [];
  if (shown.length < changed.size) {
    const indexes = new Set(shown.map(({ index }) => index));
    for (const index of changed) if (!indexes.has(index)) gone.push(index);
  }
  const rows = shown.map(({ indexed, fix }) => `${encodeRow(indexed, fix)},`);
  const starts = new Int32Array(rows.length + 1);
  for (const [n, { length }] of rows.entries()) starts[n + 1] = (starts[n] ?? 0) + length;
  return {
    indexes: Int32Array.from(shown, ({ index }) => index),
    latitudes: Float64Array.from(shown, ({ fix }) => fix.latitude),
    longitudes: Float64Array.from(shown, ({ fix }) => fix.longitude),
    bytes: Buffer.from(rows.join(''), 'latin1'),
    starts,
    gone,
  };
}

/**
 * Writes one flush to a live client with a box, if it fits into one frame and the client accepts it.
 *
 * The frame is copied from runs of adjacent rows into `scratch`: a string per client and flush would keep the garbage
 * collector busy. The socket has copied the frame when `writeRows` returns.
 *
 * @returns the number of positions written, or undefined if this is not possible; the caller then sends the devices as
 * pending ones, some perhaps twice.
 */
export function writeBboxRows(
  subscription: Subscription,
  bbox: Bbox,
  { indexes, latitudes, longitudes, bytes, starts, gone }: EncodedRows,
  {
    group,
    audience,
    scratch,
  }: { readonly group: RateGroup; readonly audience: Audience; readonly scratch: Buffer },
): number | undefined {
  const { shown, recipient, topic } = subscription;
  if (shown === undefined || subscription.controlSeq !== audience.controlSeq || !recipient.canTake())
    return undefined;
  const head = encodePositionsHead(topic, audience.cursorAt(group.coveredOffset, subscription.bboxHash));
  let end = scratch.write(head, 0, 'latin1');
  const hidden = gone.length > 0 ? gone.filter((index) => shown.has(index)) : [];
  let written = 0;
  // The run of rows that is not copied yet.
  let runStart = 0;
  let runEnd = 0;
  const west = bbox[0];
  const south = bbox[1];
  const east = bbox[2];
  const north = bbox[3];
  for (let n = 0; n < indexes.length; n += 1) {
    const index = indexes[n] ?? 0;
    if (isWithin(west, south, east, north, latitudes[n] ?? 0, longitudes[n] ?? 0)) {
      const start = starts[n] ?? 0;
      if (start !== runEnd) {
        end += bytes.copy(scratch, end, runStart, runEnd);
        runStart = start;
      }
      runEnd = starts[n + 1] ?? 0;
      written += 1;
      shown.add(index);
      // Two bytes for the closing brackets.
      if (end + runEnd - runStart > scratch.length - 2) return undefined;
    } else if (shown.has(index)) {
      hidden.push(index);
    }
  }
  end += bytes.copy(scratch, end, runStart, runEnd);
  const frames: Frame[] = [];
  if (hidden.length > 0) {
    const ids = hidden.flatMap((index) => audience.devices.at(index)?.device.id ?? []);
    frames.push(...encodeHidden(topic, ids));
  }
  if (written > 0) {
    // The closing brackets; the first replaces the last comma.
    scratch[end - 1] = 0x5d;
    scratch[end] = 0x7d;
    frames.push(scratch.subarray(0, end + 1));
  }
  if (frames.length === 0) return 0;
  if (recipient.writeRows(frames) < frames.length) return undefined;
  for (const index of hidden) shown.delete(index);
  return written;
}
