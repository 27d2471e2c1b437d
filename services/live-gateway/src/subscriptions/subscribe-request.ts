import type { Bbox, MessageId } from '@app/shared/messages';
import type { Timeline } from '../feed/timeline.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { ResumeOutcome, ResumePoint } from './resume.ts';
import type { SubscriptionRegistry } from './subscription-registry.ts';
import type { Dialect, Recipient } from './subscription.ts';

export interface RegisterContext {
  readonly registry: SubscriptionRegistry;
  readonly latest: LatestFixes;
  readonly timeline: Timeline;
  readonly tickMs: number;
  readonly nowMs: () => number;
  /** Called with the number of positions in a snapshot. Plain dialect only. */
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
  /** Batched dialect only. */
  readonly readsDeflated: boolean;
  readonly recipient: Recipient;
}
