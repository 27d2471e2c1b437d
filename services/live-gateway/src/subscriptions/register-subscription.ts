import type { Bbox, MessageId } from '@app/shared/messages';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { maxSnapshotFrameBytes } from '@app/shared/protocol';
import type { Audience } from '../fanout/audience.ts';
import { isInside } from '../fanout/bbox.ts';
import { encodeDevices } from '../protocol/batched-dialect.ts';
import { DeviceSet } from '../fanout/device-set.ts';
import { encodePlainSubscribed } from '../protocol/plain-dialect.ts';
import { rateClassFor } from '../fanout/rate-class.ts';
import type { SubscriptionRegistry } from './subscription-registry.ts';
import { encodeReply } from '../protocol/replies.ts';
import { evaluateResume, missedSince } from './resume.ts';
import type { FeedTime, ResumeOutcome, ResumePoint } from './resume.ts';
import { Subscription } from './subscription.ts';
import type { Dialect, Recipient } from './subscription.ts';

export interface RegisterContext {
  readonly registry: SubscriptionRegistry;
  readonly latest: LatestFixes;
  readonly timeline: FeedTime;
  readonly tickMs: number;
  readonly nowMs: () => number;
  /** Called with the number of positions in a snapshot. */
  readonly onSnapshot: (positions: number) => void;
  readonly onResume: (outcome: ResumeOutcome) => void;
}

/** An authorised `subscribe`. */
export interface SubscribeRequest {
  readonly eventId: string;
  readonly topic: string;
  readonly dialect: Dialect;
  readonly id: MessageId | undefined;
  readonly maxHz: number | undefined;
  readonly bbox: Bbox | undefined;
  readonly resumeFrom: ResumePoint | undefined;
  readonly recipient: Recipient;
}

/**
 * Replies to an authorised `subscribe` and adds the subscription to the event's audience.
 *
 * One synchronous block, so there is no gap between snapshot and live: entries applied before it are in the pending
 * devices set here, entries applied after it are marked for the subscription. The fan-out writes the pending devices, each
 * with its position at that moment.
 */
export function registerSubscription(request: SubscribeRequest, context: RegisterContext): Subscription {
  const { registry } = context;
  const rateClass = rateClassFor(request.maxHz, context.tickMs);
  const subscription = new Subscription({ ...request, rateClass });
  const audience = registry.audienceOf(request.eventId, request.topic);
  if (request.dialect === 'plain') replyPlain(subscription, request, audience, context);
  else replyBatched(subscription, request, audience, context);
  registry.register(subscription, audience);
  return subscription;
}

/** The reply contains the snapshot; devices that do not fit become pending. */
function replyPlain(
  subscription: Subscription,
  request: SubscribeRequest,
  audience: Audience,
  context: RegisterContext,
): void {
  const { latest } = context;
  const { topic, id } = request;
  const nowMs = context.nowMs();
  const pending = new DeviceSet();
  const fixes = [...audience.devices.indexes()].flatMap((index) => {
    const fix = audience.devices.at(index)?.held.fix;
    if (fix === undefined || !latest.isShown(fix, nowMs) || isHidden(request.bbox, fix)) return [];
    pending.add(index);
    return fix;
  });
  const snapshot = encodePlainSubscribed({
    topic,
    id,
    fixes,
    isDegraded: isDegraded(audience, context),
    maxBytes: maxSnapshotFrameBytes,
  });
  request.recipient.reply(snapshot.frame);
  context.onSnapshot(snapshot.written.length);
  for (const { deviceId } of snapshot.written) {
    const index = audience.devices.indexOf(deviceId);
    if (index === undefined) continue;
    pending.delete(index);
    subscription.shown?.add(index);
  }
  if (pending.size > 0) subscription.pending = pending;
}

/** After a resume only the devices that changed since are pending, else all are. */
function replyBatched(
  subscription: Subscription,
  request: SubscribeRequest,
  audience: Audience,
  context: RegisterContext,
): void {
  const { topic, id, recipient } = request;
  const { devices } = audience;
  const resume = evaluateResume(request.resumeFrom, context.timeline, devices.hash, subscription.bboxHash);
  if (resume.outcome !== 'none') context.onResume(resume.outcome);
  const reply = {
    type: 'subscribed' as const,
    topic,
    ...(id !== undefined && { id }),
    epoch: context.timeline.epoch,
    recovered: resume.outcome === 'recovered',
    devices: devices.size,
    ...(isDegraded(audience, context) && { degraded: true }),
  };
  recipient.reply(encodeReply(reply));
  if (resume.outcome !== 'recovered') {
    subscription.startSnapshot(devices.indexes());
    return;
  }
  const missed = missedSince(resume.appliedIds, devices);
  if (missed.invalidIds.length > 0) {
    // `devices` invalidates the client's cursor.
    subscription.needsCursor = true;
    for (const frame of encodeDevices(topic, missed.invalidIds, missed.invalidIds)) recipient.reply(frame);
  }
  subscription.pending = missed.pending;
  if (subscription.shown === undefined) return;
  for (const index of devices.indexes()) {
    const fix = devices.at(index)?.held.fix;
    // The client may show a missed device; if that is outside the box now, `hidden` must be sent.
    const wasMissed = missed.pending.has(index);
    if (wasMissed || (fix !== undefined && !isHidden(request.bbox, fix))) subscription.shown.add(index);
  }
}

function isHidden(bbox: Bbox | undefined, fix: { latitude: number; longitude: number }): boolean {
  return bbox !== undefined && !isInside(bbox, fix.latitude, fix.longitude);
}

/** Whether positions may be missing because Postgres could not be queried yet. */
function isDegraded({ devices }: Audience, { registry }: RegisterContext): boolean {
  return !registry.hasAssignments || !devices.isHydrated;
}
