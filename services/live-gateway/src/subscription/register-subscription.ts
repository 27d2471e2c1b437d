import type { MessageId } from '@app/shared/messages';
import { maxSnapshotFrameBytes } from '@app/shared/protocol';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { encodePlainSubscribed } from './plain-dialect.ts';
import { rateClassFor } from './rate-class.ts';
import type { Registry } from './registry.ts';
import type { Recipient, Subscription } from './subscription.ts';

export interface RegisterContext {
  readonly registry: Registry;
  readonly latest: LatestFixes;
  readonly tickMs: number;
  readonly nowMs: () => number;
  /** With the number of positions in a snapshot. */
  readonly onSnapshot: (positions: number) => void;
}

/**
 * Answers an authorised `subscribe` with the event's snapshot, and makes the client one of the event's audience.
 *
 * One synchronous block, so there is no gap and no race: what the stream brings before it is in the snapshot, what it
 * brings after it is marked for the client. What does not fit into the snapshot's frame is owed, and follows by the
 * ordinary path.
 */
export function registerSubscription(
  wish: {
    readonly eventId: string;
    readonly topic: string;
    readonly id: MessageId | undefined;
    readonly maxHz: number | undefined;
    readonly recipient: Recipient;
  },
  context: RegisterContext,
): Subscription {
  const { registry, latest } = context;
  const { eventId, topic, id, recipient } = wish;
  const subscription = { eventId, topic, rateClass: rateClassFor(wish.maxHz, context.tickMs), recipient };
  registry.register(subscription, (imeis) => {
    const nowMs = context.nowMs();
    const told = new Set(imeis);
    const fixes = [...told].flatMap((imei) => latest.shown(imei, nowMs) ?? []);
    const snapshot = encodePlainSubscribed({
      topic,
      id,
      fixes,
      isDegraded: isDegraded(eventId, registry, latest),
      maxBytes: maxSnapshotFrameBytes,
    });
    recipient.reply(snapshot.frame);
    context.onSnapshot(snapshot.written.length);
    // Those without a position count as told: there is nothing to say about them.
    for (const fix of fixes.slice(snapshot.written.length)) told.delete(fix.deviceId);
    return told;
  });
  return subscription;
}

/** Whether an older fix may lie in Postgres that the stream has not brought: it comes as soon as the database answers. */
function isDegraded(eventId: string, registry: Registry, latest: LatestFixes): boolean {
  if (!registry.hasAssignments) return true;
  for (const imei of registry.devicesOf(eventId).keys()) if (!latest.isHydrated(imei)) return true;
  return false;
}
