import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
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

/** Sockets written to before yielding to the event loop. */
const defaultSliceSockets = 500;
/** Bytes around the rows of a frame: its type, topic, part, and a cursor over some ten streams. */
const envelopeBytes = 640;

export interface FanOutMeter {
  readonly onTick: (durationMs: number) => void;
  readonly onPositionsSent: (positions: number) => void;
  /** Called with the number of positions of a snapshot in the batched dialect, once it is written. */
  readonly onSnapshot: (positions: number) => void;
  readonly onConflated: (positions: number) => void;
  /** Called when a fix has been written to every live client. */
  readonly onDelivered: (fix: LatestFix, nowMs: number) => void;
}

/** The flush of one group in one tick, with the frames that its live members share. */
interface Delivery extends Flush {
  readonly planNumber: number;
  readonly audience: Audience;
  readonly group: RateGroup;
  readonly fixes: readonly LatestFix[];
  readonly frames: readonly SharedFrame[];
  readonly bytes: readonly Frame[];
  /** For members with a box; undefined if there are none, or in the plain dialect, which sends one frame per row. */
  readonly encodedRows: EncodedRows | undefined;
}

/** Writes changed positions to the clients, tick by tick. */
export class FanOut {
  readonly #registry: SubscriptionRegistry;
  readonly #latest: LatestFixes;
  readonly #meter: FanOutMeter;
  readonly #nowMs: () => number;
  readonly #sliceSockets: number;
  readonly #rowBytes: number;
  /** Buffer for a frame that goes to one client only. */
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
    /** Maximum bytes of rows per frame. */
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

  /** Time until the next tick of `run`; negative while it is late. */
  get untilTickMs(): number {
    return this.#nextTickAtMs - performance.now();
  }

  /** Ticks every `tickMs` until `signal` aborts; rejects with its reason. A missed tick is skipped: the next one covers it. */
  async run(tickMs: number, signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.tick();
      const nowMs = performance.now();
      this.#nextTickAtMs = Math.max(this.#nextTickAtMs + tickMs, nowMs);
      await delay(this.#nextTickAtMs - nowMs, signal);
    }
  }

  /** Plans what is due, synchronously, then writes it in slices. */
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
   * Runs `change` between two ticks, never between two slices of one: a row of a device must not follow the control frame
   * that removes the device.
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
    const { streamOffset } = this.#registry;
    const deliveries: Delivery[] = [];
    for (const audience of this.#registry.audiences()) {
      const phase = eventPhase(audience.eventId);
      for (const group of audience.groups()) {
        const hasControlFrames = group.controlSeq !== audience.controlSeq;
        const isFlush =
          (hasControlFrames || group.hasChanges) &&
          isDue(this.#tick, phase + group.tickPhase, group.rateClass);
        if (!isFlush && group.catchingUpCount === 0) continue;
        const flush = isFlush
          ? group.takeChanges(streamOffset, audience.controlSeq)
          : group.takeCatchingUp(streamOffset);
        if (flush.conflated > 0) this.#meter.onConflated(flush.conflated);
        const shared = this.#share(audience, group, flush, hasControlFrames);
        deliveries.push({ ...flush, ...shared, planNumber, audience, group });
      }
    }
    return deliveries;
  }

  /** Encodes once what live members share: frames for those without a box, rows for those with one. */
  #share(
    audience: Audience,
    group: RateGroup,
    { live, changed }: Flush,
    hasControlFrames: boolean,
  ): Pick<Delivery, 'fixes' | 'frames' | 'bytes' | 'encodedRows'> {
    if (live.length === 0) return nothingShared;
    const { topic } = audience;
    const shown = shownOf(changed, audience.devices, this.#latest, this.#nowMs());
    const fixes = shown.map(({ fix }) => fix);
    const isPlain = group.dialect === 'plain';
    const encodedRows = !isPlain && live.some(isBoxed) ? encodeRows(changed, shown) : undefined;
    if (live.every(isBoxed)) return { ...nothingShared, fixes, encodedRows };
    const cursor = audience.cursorAt(group.coveredOffset, '');
    const frames = isPlain
      ? packPlain(topic, shown)
      : packRows(topic, shown, cursor, hasControlFrames, this.#rowBytes);
    return { fixes, frames, bytes: frames.map(({ bytes }) => bytes), encodedRows };
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { group, planNumber } = delivery;
    for (const subscription of delivery.live) {
      // Changed or ended since the plan was made: these frames are older than its view.
      if (subscription.changedAtPlan >= planNumber) continue;
      const { bbox } = subscription;
      if (bbox === undefined) this.#writeShared(subscription, delivery);
      else this.#writeBoxed(subscription, bbox, delivery);
      if (this.#isEndOfSlice()) await yieldToEventLoop();
    }
    if (delivery.fixes.length > 0) {
      const nowMs = this.#nowMs();
      for (const fix of delivery.fixes) this.#meter.onDelivered(fix, nowMs);
    }
    group.noteDelivered();
    for (const subscription of delivery.catchingUp) {
      if (subscription.changedAtPlan >= planNumber) continue;
      this.#flushPending(subscription, delivery);
      if (this.#isEndOfSlice()) await yieldToEventLoop();
    }
  }

  #writeShared(subscription: Subscription, delivery: Delivery): void {
    const { group, audience, frames, bytes } = delivery;
    const hasControlFrames =
      subscription.controlSeq === audience.controlSeq || subscription.dialect === 'plain';
    const acceptsRows =
      hasControlFrames ||
      (subscription.recipient.canTake() && flushControlFrames(subscription, group, audience));
    // It had missed too many control frames, and gets a snapshot instead.
    if (acceptsRows && subscription.snapshotPart !== undefined) return;
    const written = acceptsRows ? subscription.recipient.writeRows(bytes) : 0;
    if (written === bytes.length) {
      this.#meter.onPositionsSent(delivery.fixes.length);
      subscription.needsCursor = false;
      return;
    }
    const pending = new DeviceSet();
    for (const [n, { indexes }] of frames.entries()) {
      if (n < written) this.#meter.onPositionsSent(indexes.length);
      else for (const index of indexes) pending.add(index);
    }
    subscription.pending = pending;
    // The cursor is in the last frame, which was not written.
    if (subscription.dialect === 'batched') subscription.needsCursor = true;
    reclassifyUnlessEnded(subscription, group);
  }

  /** A client with a box gets a frame of its own, made of the rows that all share. */
  #writeBoxed(subscription: Subscription, bbox: Bbox, delivery: Delivery): void {
    const { group, audience, encodedRows } = delivery;
    const context = { group, audience, scratch: this.#scratch };
    const sent =
      encodedRows === undefined ? undefined : writeBboxRows(subscription, bbox, encodedRows, context);
    if (sent !== undefined) {
      this.#meter.onPositionsSent(sent);
      return;
    }
    // Writing may have closed the connection.
    if (subscription.hasEnded) return;
    const pending = new DeviceSet();
    pending.addAll(delivery.changed);
    subscription.pending = pending;
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
    reclassifyUnlessEnded(subscription, group);
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

/** Writing may have closed the connection and ended the subscription, which must not rejoin the group. */
function reclassifyUnlessEnded(subscription: Subscription, group: RateGroup): void {
  if (!subscription.hasEnded) group.reclassify(subscription);
}

const nothingShared = { fixes: [], frames: [], bytes: [], encodedRows: undefined };
