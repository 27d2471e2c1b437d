import { RateGroup } from './rate-group.ts';
import type { Subscription } from './subscription.ts';

/** Those who watch one event, in groups by rate. */
export class Audience {
  readonly eventId: string;
  readonly topic: string;
  readonly #groups = new Map<number, RateGroup>();

  constructor(eventId: string, topic: string) {
    this.eventId = eventId;
    this.topic = topic;
  }

  get size(): number {
    let size = 0;
    for (const group of this.#groups.values()) size += group.size;
    return size;
  }

  groups(): Iterable<RateGroup> {
    return this.#groups.values();
  }

  groupOf(subscription: Subscription): RateGroup {
    const group = this.#groups.get(subscription.rateClass) ?? new RateGroup(subscription.rateClass);
    this.#groups.set(subscription.rateClass, group);
    return group;
  }

  remove(subscription: Subscription): void {
    const group = this.#groups.get(subscription.rateClass);
    group?.remove(subscription);
    if (group?.size === 0) this.#groups.delete(subscription.rateClass);
  }

  /** @returns how many clients will not see the position before this one. */
  markChanged(deviceId: string): number {
    let conflated = 0;
    for (const group of this.#groups.values()) if (!group.markChanged(deviceId)) conflated += group.size;
    return conflated;
  }

  forgetDevice(deviceId: string): void {
    for (const group of this.#groups.values()) group.forgetDevice(deviceId);
  }
}
