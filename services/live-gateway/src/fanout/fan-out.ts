import { setImmediate as letOthersRun } from 'node:timers/promises';
import { delay } from '@app/runtime/retry';
import type { Bbox } from '@app/shared/messages';
import { maxChunkBytes } from '@app/shared/protocol';
import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Audience } from './audience.ts';
import { DeviceSet } from './device-set.ts';
import type { Flush, RateGroup } from './rate-group.ts';
import { eventPhase, isDue } from './rate-class.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import type { Frame, Subscription } from '../subscriptions/subscription.ts';
import { packPlain, packRows, shownOf } from './shared-frames.ts';
import type { SharedFrame } from './shared-frames.ts';
import { flushControlFrames, flushPending } from './flush-pending.ts';
import { encodeRows, writeBboxRows } from './write-bbox-rows.ts';
import type { EncodedRows } from './write-bbox-rows.ts';

/** So many sockets are written to before the event loop gets a turn. */
const defaultSliceSockets = 500;
/** Room for what surrounds the rows of a frame: its type, topic, part, and a cursor of some ten streams. */
const envelopeBytes = 640;

export interface FanOutMeter {
  readonly onTick: (durationMs: number) => void;
  readonly onPositionsSent: (positions: number) => void;
  /** With the number of positions in a snapshot of the batched dialect, once it is written. */
  readonly onSnapshot: (positions: number) => void;
  readonly onConflated: (positions: number) => void;
  /** A fix has gone out to all who are in step. */
  readonly onDelivered: (fix: LatestFix, nowMs: number) => void;
}

/** What one group gets in one tick: frames made once for all who are in step, and those who are served apart. */
interface Delivery extends Flush {
  readonly planNumber: number;
  readonly audience: Audience;
  readonly group: RateGroup;
  readonly fixes: readonly LatestFix[];
  readonly frames: readonly SharedFrame[];
  readonly bytes: readonly Frame[];
  /** For those who look through a box; undefined where the dialect has none of its own. */
  readonly sheet: EncodedRows | undefined;
}

/** Writes to every client what has changed since it was last written to, tick by tick. */
export class FanOut {
  readonly #registry: SubscriptionRegistry;
  readonly #latest: LatestFixes;
  readonly #meter: FanOutMeter;
  readonly #nowMs: () => number;
  readonly #sliceSockets: number;
  readonly #rowBytes: number;
  /** Where a frame for one client alone is put together. */
  readonly #scratch: Buffer;
  #tick = 0;
  #isTicking = false;
  #tickedAtMs: number;
  /** By the monotonic clock. */
  #nextTickAtMs = performance.now();
  #afterTick: (() => void)[] = [];
  #socketsInSlice = 0;

  constructor(options: {
    readonly registry: SubscriptionRegistry;
    readonly latest: LatestFixes;
    readonly meter: FanOutMeter;
    readonly nowMs: () => number;
    readonly sliceSockets?: number;
    /** Of the rows of one frame. */
    readonly rowBytes?: number;
  }) {
    this.#registry = options.registry;
    this.#latest = options.latest;
    this.#meter = options.meter;
    this.#nowMs = options.nowMs;
    this.#sliceSockets = options.sliceSockets ?? defaultSliceSockets;
    this.#rowBytes = options.rowBytes ?? maxChunkBytes - envelopeBytes;
    this.#scratch = Buffer.alloc(this.#rowBytes + envelopeBytes);
    this.#tickedAtMs = options.nowMs();
  }

  /** When the last tick ended, by the process's clock. */
  get tickedAtMs(): number {
    return this.#tickedAtMs;
  }

  /** Until the next tick of `run` is due, in ms; negative while it is late. */
  get untilTickMs(): number {
    return this.#nextTickAtMs - performance.now();
  }

  /** Ticks every `tickMs` until the signal; rejects with its reason. A late tick is not caught up on: the next one tells all. */
  async run(tickMs: number, signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.tick();
      const nowMs = performance.now();
      this.#nextTickAtMs = Math.max(this.#nextTickAtMs + tickMs, nowMs);
      await delay(this.#nextTickAtMs - nowMs, signal);
    }
  }

  /** One tick: plans at once what is due, then writes it in slices. */
  async tick(): Promise<void> {
    const startedAtMs = performance.now();
    this.#isTicking = true;
    try {
      for (const delivery of this.#plan()) await this.#deliver(delivery);
    } finally {
      this.#isTicking = false;
      this.#tick += 1;
      this.#tickedAtMs = this.#nowMs();
      const changes = this.#afterTick;
      this.#afterTick = [];
      for (const change of changes) change();
    }
    this.#meter.onTick(performance.now() - startedAtMs);
  }

  /**
   * Makes a change between two ticks, never between two slices of one: a frame that shows a device must not follow
   * the news that the device has left.
   */
  async betweenTicks<T>(change: () => T): Promise<T> {
    if (!this.#isTicking) return change();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#afterTick.push(() => {
      try {
        resolve(change());
      } catch (error) {
        reject(error);
      }
    });
    return promise;
  }

  #plan(): readonly Delivery[] {
    const planNumber = this.#registry.beginPlan();
    const { streamOffset: position } = this.#registry;
    const deliveries: Delivery[] = [];
    for (const audience of this.#registry.audiences()) {
      const phase = eventPhase(audience.eventId);
      for (const group of audience.groups()) {
        const hasNews = group.controlSeq !== audience.controlSeq;
        const isFlush =
          (hasNews || group.hasChanges) && isDue(this.#tick, phase + group.tickPhase, group.rateClass);
        if (!isFlush && group.catchingUpCount === 0) continue;
        const flush = isFlush
          ? group.takeChanges(position, audience.controlSeq)
          : group.takeCatchingUp(position);
        if (flush.conflated > 0) this.#meter.onConflated(flush.conflated);
        const shared = this.#share(audience, group, flush, hasNews);
        deliveries.push({ ...flush, ...shared, planNumber, audience, group });
      }
    }
    return deliveries;
  }

  /** What is made once for those in step: the frames of who sees the whole event, the rows of who looks through a box. */
  #share(
    audience: Audience,
    group: RateGroup,
    { live: inStep, changed }: Flush,
    hasNews: boolean,
  ): Pick<Delivery, 'fixes' | 'frames' | 'bytes' | 'sheet'> {
    if (inStep.length === 0) return nothingShared;
    const { topic } = audience;
    const shown = shownOf(changed, audience.devices, this.#latest, this.#nowMs());
    const fixes = shown.map(({ fix }) => fix);
    const isPlain = group.dialect === 'plain';
    const sheet = !isPlain && inStep.some(isBoxed) ? encodeRows(changed, shown) : undefined;
    if (inStep.every(isBoxed)) return { ...nothingShared, fixes, sheet };
    const cursor = audience.cursorAt(group.coveredOffset, '');
    const frames = isPlain
      ? packPlain(topic, shown)
      : packRows(topic, shown, cursor, hasNews, this.#rowBytes);
    return { fixes, frames, bytes: frames.map(({ bytes }) => bytes), sheet };
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { group, planNumber } = delivery;
    for (const subscription of delivery.live) {
      // Gone since the plan was made, or another view: what it holds, or is owed, is newer than these frames.
      if (subscription.changedAtPlan >= planNumber) continue;
      const { bbox } = subscription;
      if (bbox === undefined) this.#writeShared(subscription, delivery);
      else this.#writeThroughBox(subscription, bbox, delivery);
      if (this.#isEndOfSlice()) await letOthersRun();
    }
    if (delivery.fixes.length > 0) {
      const nowMs = this.#nowMs();
      for (const fix of delivery.fixes) this.#meter.onDelivered(fix, nowMs);
    }
    group.noteDelivered();
    for (const subscription of delivery.catchingUp) {
      if (subscription.changedAtPlan >= planNumber) continue;
      this.#flushPending(subscription, delivery);
      if (this.#isEndOfSlice()) await letOthersRun();
    }
  }

  #writeShared(subscription: Subscription, delivery: Delivery): void {
    const { group, audience, frames, bytes } = delivery;
    const isTold = subscription.controlSeq === audience.controlSeq || subscription.dialect === 'plain';
    const canFollow =
      isTold || (subscription.recipient.canTake() && flushControlFrames(subscription, group, audience));
    // Too much news was missed: it has got a snapshot to come.
    if (canFollow && subscription.snapshotPart !== undefined) return;
    const taken = canFollow ? subscription.recipient.writeRows(bytes) : 0;
    if (taken === bytes.length) {
      this.#meter.onPositionsSent(delivery.fixes.length);
      subscription.needsCursor = false;
      return;
    }
    const owed = new DeviceSet();
    for (const [at, { seats }] of frames.entries()) {
      if (at < taken) this.#meter.onPositionsSent(seats.length);
      else for (const seat of seats) owed.add(seat);
    }
    subscription.pending = owed;
    // The frame with the cursor is among those it has missed.
    if (subscription.dialect === 'batched') subscription.needsCursor = true;
    place(subscription, group);
  }

  /** Who looks through a box gets frames of its own, joined from the texts that all share. */
  #writeThroughBox(subscription: Subscription, bbox: Bbox, delivery: Delivery): void {
    const { group, audience, sheet } = delivery;
    const means = { group, audience, scratch: this.#scratch };
    const sent = sheet === undefined ? undefined : writeBboxRows(subscription, bbox, sheet, means);
    if (sent !== undefined) {
      this.#meter.onPositionsSent(sent);
      return;
    }
    // Writing may have closed the connection.
    if (subscription.hasEnded) return;
    const owed = new DeviceSet();
    owed.addAll(delivery.changed);
    subscription.pending = owed;
    this.#flushPending(subscription, delivery);
  }

  #flushPending(subscription: Subscription, { group, audience }: Delivery): void {
    flushPending(subscription, group, audience, {
      latest: this.#latest,
      nowMs: this.#nowMs(),
      rowBytes: this.#rowBytes,
      onPositionsSent: this.#meter.onPositionsSent,
      onSnapshot: this.#meter.onSnapshot,
    });
    place(subscription, group);
  }

  #isEndOfSlice(): boolean {
    this.#socketsInSlice += 1;
    if (this.#socketsInSlice < this.#sliceSockets) return false;
    this.#socketsInSlice = 0;
    return true;
  }
}

function isBoxed({ bbox }: Subscription): boolean {
  return bbox !== undefined;
}

/** Writing may have closed the connection, and so ended the subscription: it must not come back into the group. */
function place(subscription: Subscription, group: RateGroup): void {
  if (!subscription.hasEnded) group.reclassify(subscription);
}

const nothingShared = { fixes: [], frames: [], bytes: [], sheet: undefined };
