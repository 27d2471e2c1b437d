import { setImmediate as letOthersRun } from 'node:timers/promises';
import { delay } from '@app/runtime/retry';
import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import type { Audience } from '../subscription/audience.ts';
import type { Flush, RateGroup } from '../subscription/rate-group.ts';
import type { Registry } from '../subscription/registry.ts';
import type { Subscription } from '../subscription/subscription.ts';
import { encodePlainPosition } from '../subscription/plain-dialect.ts';
import { eventPhase, isDue } from '../subscription/rate-class.ts';

/** So many sockets are written to before the event loop gets a turn. */
const defaultSliceSockets = 500;
/** One flush writes no more than this to one client that is served apart: its rest waits for the next. */
const maxApartBytes = 65_536;

export interface FanOutMeter {
  readonly onTick: (durationMs: number) => void;
  readonly onPositionsSent: (positions: number) => void;
  /** A fix has gone out to all who are in step. */
  readonly onDelivered: (fix: LatestFix, nowMs: number) => void;
}

/** What one group gets in one tick: frames made once for all who are in step, and those who are served apart. */
interface Delivery extends Flush {
  readonly group: RateGroup;
  readonly fixes: readonly LatestFix[];
  readonly frames: readonly Uint8Array[];
  readonly frameOf: (fix: LatestFix) => Uint8Array;
}

/** Writes to every client what has changed since it was last written to, tick by tick. */
export class FanOut {
  readonly #registry: Registry;
  readonly #latest: LatestFixes;
  readonly #meter: FanOutMeter;
  readonly #nowMs: () => number;
  readonly #sliceSockets: number;
  #tick = 0;
  #isTicking = false;
  #tickedAtMs: number;
  #afterTick: (() => void)[] = [];
  #socketsInSlice = 0;

  constructor(options: {
    readonly registry: Registry;
    readonly latest: LatestFixes;
    readonly meter: FanOutMeter;
    readonly nowMs: () => number;
    readonly sliceSockets?: number;
  }) {
    this.#registry = options.registry;
    this.#latest = options.latest;
    this.#meter = options.meter;
    this.#nowMs = options.nowMs;
    this.#sliceSockets = options.sliceSockets ?? defaultSliceSockets;
    this.#tickedAtMs = options.nowMs();
  }

  /** When the last tick ended, by the process's clock. */
  get tickedAtMs(): number {
    return this.#tickedAtMs;
  }

  /** Ticks every `tickMs` until the signal; rejects with its reason. A late tick is not caught up on: the next one tells all. */
  async run(tickMs: number, signal: AbortSignal): Promise<never> {
    let nextAtMs = performance.now();
    for (;;) {
      await this.tick();
      const nowMs = performance.now();
      nextAtMs = Math.max(nextAtMs + tickMs, nowMs);
      await delay(nextAtMs - nowMs, signal);
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
  async betweenTicks(change: () => void): Promise<void> {
    if (this.#isTicking) await new Promise<void>((resolve) => this.#afterTick.push(resolve));
    change();
  }

  #plan(): readonly Delivery[] {
    const deliveries: Delivery[] = [];
    for (const audience of this.#registry.audiences()) {
      const phase = eventPhase(audience.eventId);
      const frameOf = cacheFrames(audience);
      for (const group of audience.groups()) {
        if (group.isIdle || !isDue(this.#tick, phase, group.rateClass)) continue;
        const flush = group.takeChanges();
        const fixes = flush.inStep.length > 0 ? this.#shown(flush.changed) : [];
        deliveries.push({ ...flush, group, fixes, frames: fixes.map(frameOf), frameOf });
      }
    }
    return deliveries;
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { group, fixes, frames } = delivery;
    if (frames.length > 0) {
      for (const subscription of delivery.inStep) {
        // Gone since the plan was made, or in another group: what it holds now is newer than these frames.
        if (!group.isInStep(subscription)) continue;
        const taken = subscription.recipient.writeRows(frames);
        this.#meter.onPositionsSent(taken);
        if (taken < frames.length) {
          const missed = fixes.slice(taken).map((fix) => fix.deviceId);
          group.owe(subscription, missed);
        }
        await this.#endOfSlice();
      }
      const nowMs = this.#nowMs();
      for (const fix of fixes) this.#meter.onDelivered(fix, nowMs);
    }
    for (const subscription of delivery.apart) {
      this.#writeOwed(group, subscription, delivery.frameOf);
      await this.#endOfSlice();
    }
  }

  /** Each row is read when it is written: a client that was behind gets the newest position, not the ones it missed. */
  #writeOwed(group: RateGroup, subscription: Subscription, frameOf: (fix: LatestFix) => Uint8Array): void {
    if (!subscription.recipient.canTake()) return;
    const nowMs = this.#nowMs();
    const told: string[] = [];
    const fixes: LatestFix[] = [];
    const frames: Uint8Array[] = [];
    let bytes = 0;
    for (const deviceId of group.owedTo(subscription)) {
      const fix = this.#latest.shown(deviceId, nowMs);
      if (fix === undefined) {
        told.push(deviceId);
        continue;
      }
      const frame = frameOf(fix);
      bytes += frame.byteLength;
      if (bytes > maxApartBytes && frames.length > 0) break;
      fixes.push(fix);
      frames.push(frame);
    }
    const taken = frames.length > 0 ? subscription.recipient.writeRows(frames) : 0;
    this.#meter.onPositionsSent(taken);
    for (const fix of fixes.slice(0, taken)) told.push(fix.deviceId);
    group.settle(subscription, told);
  }

  #shown(deviceIds: readonly string[]): readonly LatestFix[] {
    const nowMs = this.#nowMs();
    return deviceIds.flatMap((deviceId) => this.#latest.shown(deviceId, nowMs) ?? []);
  }

  async #endOfSlice(): Promise<void> {
    this.#socketsInSlice += 1;
    if (this.#socketsInSlice < this.#sliceSockets) return;
    this.#socketsInSlice = 0;
    await letOthersRun();
  }
}

/** The frames of one tick of one event, each made once for all rates and all who are served apart. */
function cacheFrames(audience: Audience): (fix: LatestFix) => Uint8Array {
  const frames = new Map<LatestFix, Uint8Array>();
  return (fix) => {
    const known = frames.get(fix);
    if (known !== undefined) return known;
    const frame = encodePlainPosition(audience.topic, fix);
    frames.set(fix, frame);
    return frame;
  };
}
