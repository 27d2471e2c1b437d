import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Audience } from './audience.ts';
import {
  encodeHidden,
  encodePositions,
  encodeResync,
  encodeRow,
  encodeSnapshot,
} from '../protocol/batched-dialect.ts';
import { encodePlainPosition } from '../protocol/plain-dialect.ts';
import type { RateGroup } from './rate-group.ts';
import type { IndexedDevice } from './device-index.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { selectPending, visibleFix } from './select-pending.ts';

/** One flush writes no more than this to one client that is served apart: its rest waits for the next. */
const maxApartBytes = 65_536;

export interface WriteContext {
  readonly latest: LatestFixes;
  readonly nowMs: number;
  /** Of the rows of one frame. */
  readonly rowBytes: number;
  readonly onPositionsSent: (positions: number) => void;
  readonly onSnapshot: (positions: number) => void;
}

/**
 * Writes to one client what it alone is owed, as far as it takes it: news, a `resync`, what its box hides, then
 * positions. The caller puts the subscription in step again if nothing is left.
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

/** @returns false if the client takes no more, or has to begin anew. */
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
  for (const { number, frames } of missed) {
    if (subscription.recipient.writeRows(frames) < frames.length) return false;
    subscription.controlSeq = number;
    // The cursors that the client has are of the devices of before.
    subscription.needsCursor = true;
  }
  return true;
}

/** Tells which of the owed devices have left the client's box. */
function writeHidden(subscription: Subscription, audience: Audience, context: WriteContext): boolean {
  const { pending: owed, shown, recipient } = subscription;
  if (owed === undefined || shown === undefined) return true;
  const seats: number[] = [];
  const ids: string[] = [];
  for (let at = owed.next(0); at >= 0; at = owed.next(at + 1)) {
    const seat = audience.devices.at(at);
    if (seat === undefined || !shown.has(at)) continue;
    if (visibleFix(subscription, seat, context.latest, context.nowMs) !== undefined) continue;
    seats.push(at);
    ids.push(seat.device.id);
  }
  if (seats.length === 0) return true;
  const frames = encodeHidden(subscription.topic, ids);
  // Told twice does no harm, not told would.
  if (recipient.writeRows(frames) < frames.length) return false;
  for (const at of seats) {
    shown.delete(at);
    owed.delete(at);
  }
  return true;
}

function writeRows(
  subscription: Subscription,
  group: RateGroup,
  audience: Audience,
  context: WriteContext,
): void {
  const { topic, recipient, pending: owed } = subscription;
  const picking = { maxBytes: context.rowBytes, encode: encodeRow };
  let bytes = 0;
  while (bytes < maxApartBytes && recipient.canTake()) {
    const { seats, texts, isCut } = selectPending(
      subscription,
      audience.devices,
      context.latest,
      context.nowMs,
      picking,
    );
    const { snapshotPart: part } = subscription;
    if (seats.length === 0 && part === undefined && !subscription.needsCursor) return;
    const cursor = isCut ? undefined : audience.cursorAt(group.coveredOffset, subscription.bboxHash);
    const frame =
      part === undefined
        ? encodePositions(topic, texts, cursor)
        : encodeSnapshot(topic, part, texts, isCut ? undefined : { cursor });
    if (recipient.writeRows([frame]) === 0) return;
    for (const seat of seats) {
      owed?.delete(seat);
      subscription.shown?.add(seat);
    }
    bytes += frame.length;
    context.onPositionsSent(seats.length);
    if (part !== undefined) {
      subscription.snapshotPart = part + 1;
      subscription.snapshotRows += seats.length;
    }
    if (isCut) continue;
    if (part !== undefined) context.onSnapshot(subscription.snapshotRows);
    subscription.snapshotPart = undefined;
    subscription.needsCursor = false;
    return;
  }
}

/** A frame a position. */
function writePlain(subscription: Subscription, audience: Audience, context: WriteContext): void {
  const { topic, recipient, pending: owed, shown } = subscription;
  const picking = {
    maxBytes: maxApartBytes,
    encode: (_: IndexedDevice, fix: LatestFix) => encodePlainPosition(topic, fix),
  };
  const { latest, nowMs } = context;
  const { seats, texts } = selectPending(subscription, audience.devices, latest, nowMs, picking);
  const taken = texts.length > 0 ? recipient.writeRows(texts) : 0;
  context.onPositionsSent(taken);
  for (const seat of seats.slice(0, taken)) {
    owed?.delete(seat);
    shown?.add(seat);
  }
}
