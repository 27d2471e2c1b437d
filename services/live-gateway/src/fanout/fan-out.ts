import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { delay } from '@app/runtime/retry';
import { maxChunkBytes } from '@app/shared/protocol';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { SubscriptionRegistry } from '../subscriptions/subscription-registry.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { flushUnsent } from './flush-unsent.ts';
import { planTick } from './plan-tick.ts';
import type { Delivery } from './plan-tick.ts';
import type { FanOutMeter, WriteContext } from './write-context.ts';
import { writeLive } from './write-live.ts';

/** Sockets written to before yielding to the event loop. */
const defaultSliceSockets = 500;
/** Bytes of a frame besides its rows: type, topic, part, and a cursor of about ten streams. */
const envelopeBytes = 640;
/** Deflating a frame of 60 rows takes as long as sending it to ten clients, to fifty while the machine is overloaded. */
export const defaultMinDeflatedRecipients = 200;

/** Sends every subscription, tick by tick, the positions that have changed since it was last written to. */
export class FanOut {
  readonly #registry: SubscriptionRegistry;
  readonly #context: WriteContext;
  readonly #sliceSockets: number;
  #tick = 0;
  #isTicking = false;
  /** Both by the monotonic clock. */
  #tickedAtMs = performance.now();
  #nextTickAtMs = performance.now();
  #afterTick: (() => void)[] = [];
  #socketsInSlice = 0;

  constructor(options: {
    readonly registry: SubscriptionRegistry;
    readonly latest: LatestFixes;
    readonly meter: FanOutMeter;
    readonly nowMs: () => number;
    readonly sliceSockets?: number;
    readonly rowBytes?: number;
    readonly minDeflatedRecipients?: number;
  }) {
    const { registry, latest, meter, nowMs, rowBytes = maxChunkBytes - envelopeBytes } = options;
    const { minDeflatedRecipients = defaultMinDeflatedRecipients } = options;
    this.#registry = registry;
    const scratch = Buffer.alloc(rowBytes + envelopeBytes);
    this.#context = { latest, meter, nowMs, rowBytes, minDeflatedRecipients, scratch };
    this.#sliceSockets = options.sliceSockets ?? defaultSliceSockets;
  }

  /** When the last tick ended, by the monotonic clock. */
  get tickedAtMs(): number {
    return this.#tickedAtMs;
  }

  /** Time until the next tick of `run`, in ms; negative if it is late. */
  get untilTickMs(): number {
    return this.#nextTickAtMs - performance.now();
  }

  /** Ticks every `tickMs` until the signal; rejects with its reason. Missed ticks are skipped. */
  async run(tickMs: number, signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.tick();
      const nowMs = performance.now();
      this.#nextTickAtMs = Math.max(this.#nextTickAtMs + tickMs, nowMs);
      await delay(this.#nextTickAtMs - nowMs, signal);
    }
  }

  /** Plans one tick synchronously, then writes it in slices. */
  async tick(): Promise<void> {
    const startedAtMs = performance.now();
    this.#isTicking = true;
    try {
      for (const delivery of planTick(this.#registry, this.#tick, this.#context))
        await this.#deliver(delivery);
    } finally {
      this.#isTicking = false;
      this.#tick += 1;
      this.#tickedAtMs = performance.now();
      const changes = this.#afterTick;
      this.#afterTick = [];
      for (const change of changes) change();
    }
    this.#context.meter.onTick(performance.now() - startedAtMs);
  }

  /**
   * Makes a change between two ticks, never between two slices of one: a row of a device must not follow the control
   * frame that removes the device.
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

  async #deliver(delivery: Delivery): Promise<void> {
    const { audience, group, flush, shared, planNumber } = delivery;
    const { meter, nowMs } = this.#context;
    for (const subscription of flush.live) {
      // The devices are unsent for a subscription that is no longer in the plan.
      if (!subscription.isInPlan(planNumber)) continue;
      try {
        writeLive(subscription, delivery, this.#context);
      } catch (error) {
        this.#fail(subscription, error);
      }
      if (this.#isEndOfSlice()) await yieldToEventLoop();
    }
    if (shared.fixes.length > 0) {
      const deliveredAtMs = nowMs();
      for (const fix of shared.fixes) meter.onDelivered(fix, deliveredAtMs);
    }
    group.noteDelivered();
    for (const subscription of flush.catchingUp) {
      if (!subscription.isInPlan(planNumber)) continue;
      try {
        flushUnsent(subscription, group, audience, this.#context);
      } catch (error) {
        this.#fail(subscription, error);
      }
      if (this.#isEndOfSlice()) await yieldToEventLoop();
    }
  }

  /** An unexpected error while writing to one subscription closes its connection; the tick goes on with the others. */
  #fail(subscription: Subscription, error: unknown): void {
    subscription.recipient.fail('write', error);
    // Also if the connection was closed already: otherwise every tick would fail again.
    this.#registry.unregister(subscription);
  }

  #isEndOfSlice(): boolean {
    this.#socketsInSlice += 1;
    if (this.#socketsInSlice < this.#sliceSockets) return false;
    this.#socketsInSlice = 0;
    return true;
  }
}
