import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import {
  encodeHidden,
  encodePositions,
  encodeResync,
  encodeRow,
  encodeSnapshot,
} from '../protocol/batched-dialect.ts';
import { encodePlainPosition } from '../protocol/plain-dialect.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import type { Audience } from './audience.ts';
import type { IndexedDevice } from './device-index.ts';
import type { RateGroup } from './rate-group.ts';
import { selectPending, visibleFix } from './select-pending.ts';

/** Maximum bytes per flush to a client that is catching up; the rest waits for the next flush. */
const maxCatchUpBytes = 65_536;

export interface WriteContext {
  readonly latest: LatestFixes;
  readonly nowMs: number;
  /** Maximum bytes of rows per frame. */
  readonly rowBytes: number;
  readonly onPositionsSent: (positions: number) => void;
  readonly onSnapshot: (positions: number) => void;
}

/**
 * Writes to one client what is pending for it alone, as far as the client accepts it: control frames, `resync`, devices
 * outside its box, then positions. The caller reclassifies the subscription.
 */
export function flushPending(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
  context: WriteContext,
): void {
  if (!subscription.recipient.canTake()) return;
  if (subscription.dialect === 'plain') {
    writePlain(subscription, audience, context);
    return;
  }
  if (!flushControlFrames(subscription, group, audience)) return;
  if (subscription.needsResync) {
    if (subscription.recipient.writeRows([encodeResync(subscription.topic)]) === 0) return;
    subscription.needsResync = false;
  }
  if (!writeHidden(subscription, audience, context)) return;
  writeRows(subscription, group, audience, context);
}

/** @returns false if the client accepts no more now. Starts a new snapshot if it has missed too many. */
export function flushControlFrames(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
): boolean {
  if (subscription.controlSeq === audience.controlSeq) return true;
  const missed = audience.controlFramesAfter(subscription.controlSeq);
  if (missed === undefined) {
    audience.resyncOne(group, subscription);
    return true;
  }
  for (const { sequence, frames } of missed) {
    if (subscription.recipient.writeRows(frames) < frames.length) return false;
    subscription.controlSeq = sequence;
    // The client's cursors cover the devices before the change.
    subscription.needsCursor = true;
  }
  return true;
}

/** Sends `hidden` for pending devices that have left the client's box. */
function writeHidden(subscription: Subscription, audience: Audience, context: WriteContext): boolean {
  const { pending, shown, recipient } = subscription;
  if (pending === undefined || shown === undefined) return true;
  const indexes: number[] = [];
  const ids: string[] = [];
  for (let index = pending.next(0); index >= 0; index = pending.next(index + 1)) {
    const indexed = audience.devices.at(index);
    if (indexed === undefined || !shown.has(index)) continue;
    if (visibleFix(subscription, indexed, context.latest, context.nowMs) !== undefined) continue;
    indexes.push(index);
    ids.push(indexed.device.id);
  }
  if (indexes.length === 0) return true;
  const frames = encodeHidden(subscription.topic, ids);
  // Sending `hidden` twice is harmless; not sending it leaves a vehicle on the map.
  if (recipient.writeRows(frames) < frames.length) return false;
  for (const index of indexes) {
    shown.delete(index);
    pending.delete(index);
  }
  return true;
}

function writeRows(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
  context: WriteContext,
): void {
  const { topic, recipient, pending } = subscription;
  const selection = { maxBytes: context.rowBytes, encode: encodeRow };
  let bytes = 0;
  while (bytes < maxCatchUpBytes && recipient.canTake()) {
    const { indexes, rows, isCut } = selectPending(
      subscription,
      audience.devices,
      context.latest,
      context.nowMs,
      selection,
    );
    const { snapshotPart: part } = subscription;
    if (indexes.length === 0 && part === undefined && !subscription.needsCursor) return;
    const cursor = isCut ? undefined : audience.cursorAt(group.coveredOffset, subscription.bboxHash);
    const frame =
      part === undefined
        ? encodePositions(topic, rows, cursor)
        : encodeSnapshot(topic, part, rows, isCut ? undefined : { cursor });
    if (recipient.writeRows([frame]) === 0) return;
    for (const index of indexes) {
      pending?.delete(index);
      subscription.shown?.add(index);
    }
    bytes += frame.length;
    context.onPositionsSent(indexes.length);
    if (part !== undefined) {
      subscription.snapshotPart = part + 1;
      subscription.snapshotRows += indexes.length;
    }
    if (isCut) continue;
    if (part !== undefined) context.onSnapshot(subscription.snapshotRows);
    subscription.snapshotPart = undefined;
    subscription.needsCursor = false;
    return;
  }
}

/** One frame per position. */
function writePlain(subscription: Subscription, audience: Audience, context: WriteContext): void {
  const { topic, recipient, pending, shown } = subscription;
  const selection = {
    maxBytes: maxCatchUpBytes,
    encode: (_: IndexedDevice, fix: LatestFix) => encodePlainPosition(topic, fix),
  };
  const { latest, nowMs } = context;
  const { indexes, rows } = selectPending(subscription, audience.devices, latest, nowMs, selection);
  const written = rows.length > 0 ? recipient.writeRows(rows) : 0;
  context.onPositionsSent(written);
  for (const index of indexes.slice(0, written)) {
    pending?.delete(index);
    shown?.add(index);
  }
}
