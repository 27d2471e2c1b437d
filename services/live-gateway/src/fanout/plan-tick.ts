import type { LatestFix } from '../latest/latest-fixes.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import type { Frame, Subscription } from '../subscriptions/subscription.ts';
import type { Audience } from './audience.ts';
import { deflateFrames } from './deflate-frames.ts';
import type { DeflatedFrames } from './deflate-frames.ts';
import { eventPhase, isDue } from './rate-class.ts';
import type { Flush, RateGroup } from './rate-group.ts';
import { packPlain, packRows, recentDevices } from './shared-frames.ts';
import type { SharedFrame } from './shared-frames.ts';
import { encodeRows } from './write-bbox-rows.ts';
import type { EncodedRows } from './write-bbox-rows.ts';
import type { WriteContext } from './write-context.ts';

/** What one group is sent in one tick. */
export interface Delivery {
  readonly planNumber: number;
  readonly audience: Audience;
  readonly group: RateGroup;
  readonly flush: Flush;
  readonly shared: SharedRows;
}

/** The changed positions of a flush, encoded once for all live subscriptions. */
interface SharedRows {
  readonly fixes: readonly LatestFix[];
  /** For subscriptions without a box. */
  readonly frames: readonly SharedFrame[];
  /** The payloads of `frames`. */
  readonly payloads: readonly Frame[];
  /** The same frames for clients that read deflated ones. Undefined if they are too few, and in the plain dialect. */
  readonly deflated: DeflatedFrames | undefined;
  /** For subscriptions with a box. Undefined if there are none, and in the plain dialect. */
  readonly encodedRows: EncodedRows | undefined;
}

const nothingShared: SharedRows = {
  fixes: [],
  frames: [],
  payloads: [],
  deflated: undefined,
  encodedRows: undefined,
};

/**
 * Plans one tick synchronously: takes the changes of each group that is due and encodes them. Subscriptions that are
 * catching up are written to in every tick.
 */
export function planTick(
  registry: SubscriptionRegistry,
  tick: number,
  context: WriteContext,
): readonly Delivery[] {
  const planNumber = registry.beginPlan();
  const { streamOffset } = registry;
  const deliveries: Delivery[] = [];
  for (const audience of registry.audiences()) {
    const phase = eventPhase(audience.eventId);
    for (const group of audience.groups()) {
      const hasControlFrames = group.controlSeq !== audience.controlSeq;
      const isFlushed =
        (hasControlFrames || group.hasChanges) && isDue(tick, phase + group.tickPhase, group.rateClass);
      if (!isFlushed && group.catchingUpCount === 0) continue;
      const flush = isFlushed
        ? group.takeChanges(streamOffset, audience.controlSeq)
        : group.flushForCatchingUp(streamOffset);
      if (flush.conflated > 0) context.meter.onConflated(flush.conflated);
      const shared =
        flush.live.length === 0
          ? nothingShared
          : encodeShared(audience, group, flush, hasControlFrames, context);
      deliveries.push({ planNumber, audience, group, flush, shared });
    }
  }
  return deliveries;
}

function encodeShared(
  audience: Audience,
  group: RateGroup,
  { live, changed }: Flush,
  hasControlFrames: boolean,
  { latest, nowMs, rowBytes, minDeflatedRecipients }: WriteContext,
): SharedRows {
  const { topic } = audience;
  const recent = recentDevices(changed, audience.devices, latest, nowMs());
  const fixes = recent.map(({ fix }) => fix);
  const isPlain = group.dialect === 'plain';
  const encodedRows = !isPlain && live.some(hasBbox) ? encodeRows(changed, recent) : undefined;
  if (live.every(hasBbox)) return { ...nothingShared, fixes, encodedRows };
  const frames = isPlain
    ? packPlain(topic, recent)
    : packRows(topic, recent, audience.cursorAt(group.coveredOffset, ''), hasControlFrames, rowBytes);
  const deflated =
    isPlain || frames.length === 0 || !haveAtLeast(live, minDeflatedRecipients, sharesDeflatedFrames)
      ? undefined
      : deflateFrames(frames, audience.dictionary);
  return { fixes, frames, payloads: frames.map(({ payload }) => payload), deflated, encodedRows };
}

function haveAtLeast<T>(list: readonly T[], count: number, isOne: (item: T) => boolean): boolean {
  let found = 0;
  return list.some((item) => isOne(item) && (found += 1) >= count);
}

function sharesDeflatedFrames({ bbox, readsDeflated }: Subscription): boolean {
  return readsDeflated && bbox === undefined;
}

function hasBbox({ bbox }: Subscription): boolean {
  return bbox !== undefined;
}
