import type { Subscription } from './subscription.ts';

/**
 * The subscriptions of one event that share a rate, and what they have still to be told.
 *
 * Those in step share one set of changed devices and get the same frames. One that is not (its snapshot was too long
 * for one frame, it could not take everything) owes nothing to the others: it keeps a set of its own, bounded by the
 * devices of the event, and is in step again once that is written.
 */
export class RateGroup {
  readonly rateClass: number;
  #changed = new Set<string>();
  readonly #inStep = new Set<Subscription>();
  readonly #owed = new Map<Subscription, Set<string>>();

  constructor(rateClass: number) {
    this.rateClass = rateClass;
  }

  get size(): number {
    return this.#inStep.size + this.#owed.size;
  }

  get isIdle(): boolean {
    return this.#changed.size === 0 && this.#owed.size === 0;
  }

  add(subscription: Subscription): void {
    this.#inStep.add(subscription);
  }

  remove(subscription: Subscription): void {
    this.#inStep.delete(subscription);
    this.#owed.delete(subscription);
  }

  /** @returns false if the device was marked already: its position before this one will not be sent. */
  markChanged(deviceId: string): boolean {
    const sizeBefore = this.#changed.size;
    this.#changed.add(deviceId);
    return this.#changed.size > sizeBefore;
  }

  forgetDevice(deviceId: string): void {
    this.#changed.delete(deviceId);
    for (const owed of this.#owed.values()) owed.delete(deviceId);
  }

  /** The devices have not been written to this subscription: it is told about them apart from its group. */
  owe(subscription: Subscription, deviceIds: Iterable<string>): void {
    const isMember = this.#inStep.delete(subscription) || this.#owed.has(subscription);
    if (!isMember) return;
    const owed = this.#owed.get(subscription) ?? new Set();
    for (const deviceId of deviceIds) owed.add(deviceId);
    this.#owed.set(subscription, owed);
  }

  /** The devices have been written; with nothing left the subscription is in step again. */
  settle(subscription: Subscription, deviceIds: Iterable<string>): void {
    const owed = this.#owed.get(subscription);
    if (owed === undefined) return;
    for (const deviceId of deviceIds) owed.delete(deviceId);
    if (owed.size > 0) return;
    this.#owed.delete(subscription);
    this.#inStep.add(subscription);
  }

  isInStep(subscription: Subscription): boolean {
    return this.#inStep.has(subscription);
  }

  owedTo(subscription: Subscription): ReadonlySet<string> {
    return this.#owed.get(subscription) ?? new Set();
  }

  /**
   * Takes what has changed since the last flush: the devices, the subscriptions in step (a copy: the recipients of a
   * frame are fixed when it is built), and those apart, to whom the same devices are now owed too.
   */
  takeChanges(): Flush {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const owed of this.#owed.values()) for (const deviceId of changed) owed.add(deviceId);
    return { changed: [...changed], inStep: [...this.#inStep], apart: [...this.#owed.keys()] };
  }
}

export interface Flush {
  readonly changed: readonly string[];
  readonly inStep: readonly Subscription[];
  readonly apart: readonly Subscription[];
}
