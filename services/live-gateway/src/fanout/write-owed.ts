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
import type { Seat } from './roster.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { pickOwed, visibleFix } from './pick-owed.ts';

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
export function writeOwed(
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
  if (!writeNews(subscription, group, audience)) return;
  if (subscription.owesResync) {
    if (subscription.recipient.writeRows([encodeResync(subscription.topic)]) === 0) return;
    subscription.owesResync = false;
  }
  if (!writeHidden(subscription, audience, context)) return;
  writeRows(subscription, group, audience, context);
}

/** @returns false if the client takes no more, or has to begin anew. */
export function writeNews(subscription: Subscription, group: RateGroup, audience: Audience): boolean {
  if (subscription.newsAt === audience.newsAt) return true;
  const missed = audience.newsAfter(subscription.newsAt);
  if (missed === undefined) {
    audience.resyncOne(group, subscription);
    return true;
  }
  for (const { number, frames } of missed) {
    if (subscription.recipient.writeRows(frames) < frames.length) return false;
    subscription.newsAt = number;
    // The cursors that the client has are of the devices of before.
    subscription.owesCursor = true;
  }
  return true;
}

/** Tells which of the owed devices have left the client's box. */
function writeHidden(subscription: Subscription, audience: Audience, context: WriteContext): boolean {
  const { owed, shown, recipient } = subscription;
  if (owed === undefined || shown === undefined) return true;
  const seats: number[] = [];
  const ids: string[] = [];
  for (let at = owed.next(0); at >= 0; at = owed.next(at + 1)) {
    const seat = audience.roster.at(at);
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
  const { topic, recipient, owed } = subscription;
  const picking = { maxBytes: context.rowBytes, encode: encodeRow };
  let bytes = 0;
  while (bytes < maxApartBytes && recipient.canTake()) {
    const { seats, texts, isCut } = pickOwed(
      subscription,
      audience.roster,
      context.latest,
      context.nowMs,
      picking,
    );
    const { part } = subscription;
    if (seats.length === 0 && part === undefined && !subscription.owesCursor) return;
    const cursor = isCut ? undefined : audience.cursorAt(group.coveredPosition, subscription.bboxHash);
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
      subscription.part = part + 1;
      subscription.snapshotRows += seats.length;
    }
    if (isCut) continue;
    if (part !== undefined) context.onSnapshot(subscription.snapshotRows);
    subscription.part = undefined;
    subscription.owesCursor = false;
    return;
  }
}

/** A frame a position. */
function writePlain(subscription: Subscription, audience: Audience, context: WriteContext): void {
  const { topic, recipient, owed, shown } = subscription;
  const picking = {
    maxBytes: maxApartBytes,
    encode: (_: Seat, fix: LatestFix) => encodePlainPosition(topic, fix),
  };
  const { latest, nowMs } = context;
  const { seats, texts } = pickOwed(subscription, audience.roster, latest, nowMs, picking);
  const taken = texts.length > 0 ? recipient.writeRows(texts) : 0;
  context.onPositionsSent(taken);
  for (const seat of seats.slice(0, taken)) {
    owed?.delete(seat);
    shown?.add(seat);
  }
}
