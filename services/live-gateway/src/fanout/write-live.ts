import type { Bbox } from '@app/shared/messages';
import type { Subscription } from '../subscriptions/subscription.ts';
import { DeviceSet } from './device-set.ts';
import { flushControlFrames } from './flush-control-frames.ts';
import { flushUnsent } from './flush-unsent.ts';
import type { Delivery } from './plan-tick.ts';
import { writeBboxRows } from './write-bbox-rows.ts';
import type { WriteContext } from './write-context.ts';

/** Writes a flush to one live subscription. Positions that could not be written become unsent. */
export function writeLive(subscription: Subscription, delivery: Delivery, context: WriteContext): void {
  const { bbox } = subscription;
  if (bbox === undefined) writeSharedFrames(subscription, delivery, context);
  else writeThroughBbox(subscription, bbox, delivery, context);
}

function writeSharedFrames(
  subscription: Subscription,
  { group, audience, shared }: Delivery,
  { meter }: WriteContext,
): void {
  const { frames, payloads, fixes } = shared;
  const { recipient, dialect } = subscription;
  const hasAllControlFrames = subscription.controlSeq === audience.controlSeq || dialect === 'plain';
  const canWriteRows =
    hasAllControlFrames || (recipient.isWritable() && flushControlFrames(subscription, group, audience));
  // It had missed too many control frames and has just started a new snapshot.
  if (canWriteRows && subscription.snapshotPart !== undefined) return;
  const written = canWriteRows ? writePayloads(subscription, shared) : 0;
  if (written === payloads.length) {
    meter.onPositionsSent(fixes.length);
    subscription.needsCursor = false;
    return;
  }
  const unsent = new DeviceSet();
  for (const [n, { indexes }] of frames.entries()) {
    if (n < written) meter.onPositionsSent(indexes.length);
    else for (const index of indexes) unsent.add(index);
  }
  subscription.unsent = unsent;
  // The last frame has the cursor, and it was not written.
  if (dialect === 'batched') subscription.needsCursor = true;
  group.updateMembership(subscription);
}

/** @returns how many payloads were written. */
function writePayloads(subscription: Subscription, { payloads, deflated }: Delivery['shared']): number {
  const { recipient } = subscription;
  if (deflated === undefined || !subscription.readsDeflated) return recipient.writeFrames(payloads);
  const { dictionary } = deflated;
  if (subscription.dictionary !== dictionary) {
    if (recipient.writeFrames([dictionary.frame], true) === 0) return 0;
    subscription.dictionary = dictionary;
  }
  return recipient.writeFrames(deflated.payloads, true);
}

/** A subscription with a box gets frames of its own, copied from rows that were encoded once for all. */
function writeThroughBbox(
  subscription: Subscription,
  bbox: Bbox,
  { group, audience, flush, shared: { encodedRows } }: Delivery,
  context: WriteContext,
): void {
  const sent =
    encodedRows === undefined
      ? undefined
      : writeBboxRows(subscription, bbox, encodedRows, group, audience, context.scratch);
  if (sent !== undefined) {
    context.meter.onPositionsSent(sent);
    return;
  }
  // Writing may have closed the connection.
  if (subscription.hasEnded) return;
  subscription.unsent = DeviceSet.from(flush.changed);
  flushUnsent(subscription, group, audience, context);
}
