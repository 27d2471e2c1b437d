import { noAssignments } from '../assignments/assignments.ts';
import type { Assignments, Device } from '../assignments/assignments.ts';
import { diffAssignments } from '../assignments/diff-assignments.ts';
import { Audience, defaultGroupSize } from '../fanout/audience.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import type { Subscription } from './subscription.ts';

const noDevices: ReadonlyMap<string, Device> = new Map();
const noEvents: readonly string[] = [];

/**
 * Which device is in which event, and which subscriptions each event has. The feed marks changed devices here for every
 * audience that sees them; the tick writes them.
 *
 * Everything is synchronous, so that registering, marking and reassigning never overlap.
 */
export class SubscriptionRegistry {
  readonly #audiences = new Map<string, Audience>();
  readonly #latest: Pick<LatestFixes, 'hold'>;
  readonly #streamOffset: () => string | undefined;
  readonly #onConflated: (positions: number) => void;
  readonly #groupSize: number;
  #assignments: Assignments = noAssignments;
  #assignedAtMs = Number.NaN;
  #subscriptionCount = 0;
  #planNumber = 1;

  constructor(options: {
    readonly latest: Pick<LatestFixes, 'hold'>;
    /** See `Timeline.streamOffset`. */
    readonly streamOffset: () => string | undefined;
    readonly onConflated: (positions: number) => void;
    /** See `audience.ts`. */
    readonly groupSize?: number;
  }) {
    this.#latest = options.latest;
    this.#streamOffset = options.streamOffset;
    this.#onConflated = options.onConflated;
    this.#groupSize = options.groupSize ?? defaultGroupSize;
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  /** Whether the assignments have been read. */
  get hasAssignments(): boolean {
    return !Number.isNaN(this.#assignedAtMs);
  }

  /** When the current assignments were read, by the process's clock; NaN before the first time. */
  get assignedAtMs(): number {
    return this.#assignedAtMs;
  }

  get streamOffset(): string | undefined {
    return this.#streamOffset();
  }

  /** Starts a plan. Its frames are not written to subscriptions that change afterwards. */
  beginPlan(): number {
    this.#planNumber += 1;
    return this.#planNumber;
  }

  audiences(): Iterable<Audience> {
    return this.#audiences.values();
  }

  isAssigned(imei: string): boolean {
    return this.#assignments.eventsByImei.has(imei);
  }

  /** The event's devices by IMEI. */
  devicesOf(eventId: string): ReadonlyMap<string, Device> {
    return this.#assignments.devicesByEvent.get(eventId) ?? noDevices;
  }

  /** The event's audience. A new one is kept once a subscription is registered. */
  audienceOf(eventId: string, topic: string): Audience {
    return (
      this.#audiences.get(eventId) ??
      new Audience({
        eventId,
        topic,
        devices: this.devicesOf(eventId).values(),
        hold: (imei) => this.#latest.hold(imei),
        groupSize: this.#groupSize,
      })
    );
  }

  /** From now on the subscription is sent its unsent devices and everything that changes. */
  register(subscription: Subscription, audience: Audience): void {
    this.#audiences.set(audience.eventId, audience);
    subscription.controlSeq = audience.controlSeq;
    this.#add(subscription, audience);
    this.#subscriptionCount += 1;
  }

  unregister(subscription: Subscription): void {
    subscription.end();
    const audience = this.#audiences.get(subscription.eventId);
    if (audience === undefined) return;
    const sizeBefore = audience.size;
    audience.remove(subscription);
    this.#subscriptionCount -= sizeBefore - audience.size;
    if (audience.size === 0) this.#audiences.delete(subscription.eventId);
  }

  /** Changes a subscription's rate or box. Frames that are already planned are not written to it. */
  change(subscription: Subscription, change: (audience: Audience) => void): void {
    const audience = this.#audiences.get(subscription.eventId);
    if (audience === undefined) return;
    audience.remove(subscription);
    change(audience);
    this.#add(subscription, audience);
  }

  /** The latest fix of a device has changed. */
  markChanged(imei: string): void {
    let conflated = 0;
    for (const eventId of this.#assignments.eventsByImei.get(imei) ?? noEvents) {
      conflated += this.#audiences.get(eventId)?.markChanged(imei) ?? 0;
    }
    if (conflated > 0) this.#onConflated(conflated);
  }

  /** The latest fixes of these devices were retracted. Call between two ticks. */
  markReset(imeis: readonly string[]): void {
    if (imeis.length === 0) return;
    for (const audience of this.#audiences.values()) audience.resetDevices(imeis);
  }

  /** Sends every subscription a new snapshot. Call between two ticks. */
  resync(): void {
    for (const audience of this.#audiences.values()) audience.resync();
  }

  /** Replaces the assignments and announces added and removed devices. Call between two ticks. */
  reassign(next: Assignments, nowMs: number): void {
    for (const [eventId, change] of diffAssignments(this.#assignments, next)) {
      this.#audiences.get(eventId)?.changeDevices(change);
    }
    this.#assignments = next;
    this.#assignedAtMs = nowMs;
  }

  #add(subscription: Subscription, audience: Audience): void {
    subscription.changedAtPlan = this.#planNumber;
    audience.add(subscription, this.#streamOffset());
  }
}
