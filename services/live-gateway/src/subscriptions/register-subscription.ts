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
  /** With the number of positions in a snapshot. */
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
 * Answers an authorised `subscribe`, and makes the client one of the event's audience.
 *
 * One synchronous block, so there is no gap and no race: what the stream brings before it is in what the client is owed
 * here, what it brings after it is marked for the client. What is owed follows by the ordinary path, each row read when
 * it is written.
 */
export function registerSubscription(wish: SubscribeRequest, context: RegisterContext): Subscription {
  const { registry } = context;
  const rateClass = rateClassFor(wish.maxHz, context.tickMs);
  const subscription = new Subscription({ ...wish, rateClass });
  const audience = registry.audienceOf(wish.eventId, wish.topic);
  if (wish.dialect === 'plain') replyPlain(subscription, wish, audience, context);
  else replyBatched(subscription, wish, audience, context);
  registry.register(subscription, audience);
  return subscription;
}

/** The snapshot is in the reply; what does not fit into its frame is owed. */
function replyPlain(
  subscription: Subscription,
  wish: SubscribeRequest,
  audience: Audience,
  context: RegisterContext,
): void {
  const { latest } = context;
  const { topic, id } = wish;
  const nowMs = context.nowMs();
  const owed = new DeviceSet();
  const fixes = [...audience.devices.indexes()].flatMap((seat) => {
    const fix = audience.devices.at(seat)?.held.fix;
    if (fix === undefined || !latest.isShown(fix, nowMs) || isHidden(wish.bbox, fix)) return [];
    owed.add(seat);
    return fix;
  });
  const snapshot = encodePlainSubscribed({
    topic,
    id,
    fixes,
    isDegraded: isDegraded(audience, context),
    maxBytes: maxSnapshotFrameBytes,
  });
  wish.recipient.reply(snapshot.frame);
  context.onSnapshot(snapshot.written.length);
  for (const { deviceId } of snapshot.written) {
    const seat = audience.devices.indexOf(deviceId);
    if (seat === undefined) continue;
    owed.delete(seat);
    subscription.shown?.add(seat);
  }
  if (owed.size > 0) subscription.pending = owed;
}

/** A client that can be resumed is owed what it missed; any other one everything. */
function replyBatched(
  subscription: Subscription,
  wish: SubscribeRequest,
  audience: Audience,
  context: RegisterContext,
): void {
  const { topic, id, recipient } = wish;
  const { devices: roster } = audience;
  const resume = evaluateResume(wish.resumeFrom, context.timeline, roster.hash, subscription.bboxHash);
  if (resume.outcome !== 'none') context.onResume(resume.outcome);
  const reply = {
    type: 'subscribed' as const,
    topic,
    ...(id !== undefined && { id }),
    epoch: context.timeline.epoch,
    recovered: resume.outcome === 'recovered',
    devices: roster.size,
    ...(isDegraded(audience, context) && { degraded: true }),
  };
  recipient.reply(encodeReply(reply));
  if (resume.outcome !== 'recovered') {
    subscription.startSnapshot(roster.indexes());
    return;
  }
  const missed = missedSince(resume.appliedIds, roster);
  if (missed.doubtfulIds.length > 0) {
    // `devices` voids the cursor that the client has.
    subscription.needsCursor = true;
    for (const frame of encodeDevices(topic, missed.doubtfulIds, missed.doubtfulIds)) recipient.reply(frame);
  }
  subscription.pending = missed.pending;
  if (subscription.shown === undefined) return;
  for (const seat of roster.indexes()) {
    const fix = roster.at(seat)?.held.fix;
    // Where a missed one was when the client saw it is not known; if it is outside now, the client is told so.
    const wasMissed = missed.pending.has(seat);
    if (wasMissed || (fix !== undefined && !isHidden(wish.bbox, fix))) subscription.shown.add(seat);
  }
}

function isHidden(bbox: Bbox | undefined, fix: { latitude: number; longitude: number }): boolean {
  return bbox !== undefined && !isInside(bbox, fix.latitude, fix.longitude);
}

/** Whether an older fix may lie in Postgres that the stream has not brought: it comes as soon as the database answers. */
function isDegraded({ devices: roster }: Audience, { registry }: RegisterContext): boolean {
  return !registry.hasAssignments || !roster.isHydrated;
}
