import type { LatestFix } from '../latest/latest-fixes.ts';
import { encodeHidden, encodePositions, encodeResync, encodeSnapshot } from '../protocol/batched-dialect.ts';
import { encodePlainPosition } from '../protocol/plain-dialect.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { Audience } from './audience.ts';
import { encodeRowOnce } from './device-index.ts';
import type { IndexedDevice } from './device-index.ts';
import { flushControlFrames } from './flush-control-frames.ts';
import type { RateGroup } from './rate-group.ts';
import { selectUnsent } from './select-unsent.ts';
import { visibleFix } from './visible-fix.ts';
import type { WriteContext } from './write-context.ts';

/** Bytes written per tick to one subscription that is catching up; the rest waits for the next tick. */
const maxBytesPerFlush = 65_536;

/**
 * Writes what one subscription alone needs until the connection is no longer writable: control frames, `resync`,
 * devices that left its box, then positions. A subscription with nothing left becomes live.
 */
export function flushUnsent(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
  context: WriteContext,
): void {
  if (subscription.recipient.isWritable()) {
    if (subscription.dialect === 'plain') writePlain(subscription, audience, context);
    else writeBatched(subscription, group, audience, context);
  }
  group.updateMembership(subscription);
}

function writeBatched(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
  context: WriteContext,
): void {
  if (!flushControlFrames(subscription, group, audience)) return;
  if (subscription.needsResync) {
    if (subscription.recipient.writeFrames([encodeResync(subscription.topic)]) === 0) return;
    subscription.needsResync = false;
  }
  const nowMs = context.nowMs();
  if (!writeHidden(subscription, audience, context, nowMs)) return;
  writePositions(subscription, group, audience, context, nowMs);
}

/**
 * Writes which of the unsent devices have left the client's box.
 *
 * @returns false if the connection is no longer writable.
 */
function writeHidden(
  subscription: Subscription,
  audience: Audience,
  { latest }: WriteContext,
  nowMs: number,
): boolean {
  const { unsent, shown, recipient } = subscription;
  if (unsent === undefined || shown === undefined) return true;
  const indexes: number[] = [];
  const ids: string[] = [];
  for (let index = unsent.next(0); index >= 0; index = unsent.next(index + 1)) {
    const indexed = audience.devices.at(index);
    if (indexed === undefined || !shown.has(index)) continue;
    if (visibleFix(subscription, indexed, latest, nowMs) !== undefined) continue;
    indexes.push(index);
    ids.push(indexed.device.id);
  }
  if (indexes.length === 0) return true;
  const frames = encodeHidden(subscription.topic, ids);
  // If only some frames were written, all are written again: `hidden` is idempotent.
  if (recipient.writeFrames(frames) < frames.length) return false;
  for (const index of indexes) {
    shown.delete(index);
    unsent.delete(index);
  }
  return true;
}

/** Writes `snapshot` frames if the subscription is in a snapshot, `positions` frames otherwise. */
function writePositions(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
  { latest, meter, rowBytes }: WriteContext,
  nowMs: number,
): void {
  const { topic, recipient } = subscription;
  const options = { maxBytes: rowBytes, encode: encodeRowOnce };
  let bytes = 0;
  while (bytes < maxBytesPerFlush && recipient.isWritable()) {
    const selected = selectUnsent(subscription, audience.devices, latest, nowMs, options);
    const { indexes, rows, isTruncated } = selected;
    const { snapshotPart: part } = subscription;
    if (indexes.length === 0 && part === undefined && !subscription.needsCursor) return;
    const cursor = isTruncated ? undefined : audience.cursorAt(group.coveredOffset, subscription.bboxHash);
    const frame =
      part === undefined
        ? encodePositions(topic, rows, cursor)
        : encodeSnapshot(topic, part, rows, isTruncated ? undefined : { cursor });
    if (recipient.writeFrames([frame]) === 0) return;
    for (const index of indexes) subscription.noteSent(index);
    bytes += frame.length;
    meter.onPositionsSent(indexes.length);
    if (part !== undefined) {
      subscription.snapshotPart = part + 1;
      subscription.snapshotRows += indexes.length;
    }
    if (isTruncated) continue;
    if (part !== undefined) meter.onSnapshot(subscription.snapshotRows);
    subscription.snapshotPart = undefined;
    subscription.needsCursor = false;
    return;
  }
}

/** Writes one frame per position. */
function writePlain(
  subscription: Subscription,
  audience: Audience,
  { latest, meter, nowMs }: WriteContext,
): void {
  const { topic, recipient } = subscription;
  const { indexes, rows } = selectUnsent(subscription, audience.devices, latest, nowMs(), {
    maxBytes: maxBytesPerFlush,
    encode: (_indexed: IndexedDevice, fix: LatestFix) => encodePlainPosition(topic, fix),
  });
  const written = rows.length > 0 ? recipient.writeFrames(rows) : 0;
  meter.onPositionsSent(written);
  for (const index of indexes.slice(0, written)) subscription.noteSent(index);
}
