import type { Bbox } from '@app/shared/messages';
import type { Audience } from './audience.ts';
import { encodeHidden, encodePositionsHead, encodeRow } from '../protocol/batched-dialect.ts';
import { isWithin } from './bbox.ts';
import type { DeviceSet } from './device-set.ts';
import type { RateGroup } from './rate-group.ts';
import type { Frame, Subscription } from '../subscriptions/subscription.ts';
import type { ShownDevice } from './shared-frames.ts';

/**
 * The changed devices of one flush with their rows, written once for all who look through a box. Columns, not objects:
 * every client of every flush goes through all of them.
 */
export interface EncodedRows {
  readonly seats: Int32Array;
  readonly latitudes: Float64Array;
  readonly longitudes: Float64Array;
  /** The rows one after the other, a comma after each, and where each begins; one more for the end. */
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  /** Devices without a position to show. */
  readonly gone: readonly number[];
}

export function encodeRows(changed: DeviceSet, shown: readonly ShownDevice[]): EncodedRows {
  const gone: number[] = [];
  if (shown.length < changed.size) {
    const seats = new Set(shown.map(({ at }) => at));
    for (const seat of changed) if (!seats.has(seat)) gone.push(seat);
  }
  const rows = shown.map(({ seat, fix }) => `${encodeRow(seat, fix)},`);
  const starts = new Int32Array(rows.length + 1);
  for (const [n, { length }] of rows.entries()) starts[n + 1] = (starts[n] ?? 0) + length;
  return {
    seats: Int32Array.from(shown, ({ at }) => at),
    latitudes: Float64Array.from(shown, ({ fix }) => fix.latitude),
    longitudes: Float64Array.from(shown, ({ fix }) => fix.longitude),
    bytes: Buffer.from(rows.join(''), 'latin1'),
    starts,
    gone,
  };
}

/**
 * Writes one flush to a client in step that looks through a box: in the common case, that one frame holds it all.
 *
 * The frame is put together in `scratch` from runs of the sheet: a text of its own for every client and flush is what
 * the collector of garbage would be busy with most. The socket has copied it when `writeRows` returns.
 *
 * @returns how many positions were written; undefined if it is not the common case: then the client is served apart,
 * and told again what it was told perhaps.
 */
export function writeBboxRows(
  subscription: Subscription,
  bbox: Bbox,
  { seats, latitudes, longitudes, bytes, starts, gone }: EncodedRows,
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
  let at = scratch.write(head, 0, 'latin1');
  const left = gone.length > 0 ? gone.filter((seat) => shown.has(seat)) : [];
  let seen = 0;
  // The run of rows that is not copied yet.
  let from = 0;
  let to = 0;
  const west = bbox[0];
  const south = bbox[1];
  const east = bbox[2];
  const north = bbox[3];
  for (let n = 0; n < seats.length; n += 1) {
    const seat = seats[n] ?? 0;
    if (isWithin(west, south, east, north, latitudes[n] ?? 0, longitudes[n] ?? 0)) {
      const start = starts[n] ?? 0;
      if (start !== to) {
        at += bytes.copy(scratch, at, from, to);
        from = start;
      }
      to = starts[n + 1] ?? 0;
      seen += 1;
      shown.add(seat);
      // Room for the tail.
      if (at + to - from > scratch.length - 2) return undefined;
    } else if (shown.has(seat)) {
      left.push(seat);
    }
  }
  at += bytes.copy(scratch, at, from, to);
  const frames: Frame[] = [];
  if (left.length > 0) {
    const ids = left.flatMap((seat) => audience.devices.at(seat)?.device.id ?? []);
    frames.push(...encodeHidden(topic, ids));
  }
  if (seen > 0) {
    // Over the last comma.
    scratch[at - 1] = 0x5d;
    scratch[at] = 0x7d;
    frames.push(scratch.subarray(0, at + 1));
  }
  if (frames.length === 0) return 0;
  if (recipient.writeRows(frames) < frames.length) return undefined;
  for (const seat of left) shown.delete(seat);
  return seen;
}
