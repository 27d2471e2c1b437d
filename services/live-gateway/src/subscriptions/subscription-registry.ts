import { diffAssignments } from '../assignments/diff-assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import { noAssignments } from '../assignments/assignments.ts';
import type { Assignments, Device } from '../assignments/assignments.ts';
import type { LatestFixes } from '../latest/latest-fixes.ts';
import { Audience, defaultGroupSize } from '../fanout/audience.ts';
import type { Subscription } from './subscription.ts';

const noDevices: ReadonlyMap<string, Device> = new Map();
const noEvents: readonly string[] = [];

/**
 * Which device is in which event, and which subscriptions each event has. Marks a changed device in every audience that
 * has it; the fan-out writes from these marks.
 *
 * Every method is synchronous, so that registering, marking and reassigning never interleave.
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
    /** See `Timeline`. */
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

  /** Whether assignments were ever loaded. */
  get hasAssignments(): boolean {
    return !Number.isNaN(this.#assignedAtMs);
  }

  /** When the current assignments were loaded, by the process's clock; NaN before the first load. */
  get assignedAtMs(): number {
    return this.#assignedAtMs;
  }

  /** See `Timeline`. */
  get streamOffset(): string | undefined {
    return this.#streamOffset();
  }

  /** Starts a plan; subscriptions changed from now on are excluded from its frames. */
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

  /** The devices of an event by IMEI. */
  devicesOf(eventId: string): ReadonlyMap<string, Device> {
    return this.#assignments.devicesByEvent.get(eventId) ?? noDevices;
  }

  /** The audience of an event; a new one is kept once a subscription is registered in it. */
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

  /** Adds the subscription to its audience: from now on the fan-out writes to it. */
  register(subscription: Subscription, audience: Audience): void {
    this.#audiences.set(audience.eventId, audience);
    subscription.controlSeq = audience.controlSeq;
    subscription.changedAtPlan = this.#planNumber;
    audience.add(subscription, this.#streamOffset());
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

  /** Changes a subscription's view; frames already planned are not written to it. */
  change(subscription: Subscription, change: (audience: Audience) => void): void {
    const audience = this.#audiences.get(subscription.eventId);
    if (audience === undefined) return;
    audience.remove(subscription);
    change(audience);
    subscription.changedAtPlan = this.#planNumber;
    audience.add(subscription, this.#streamOffset());
  }

  /** Marks a device whose newest fix has changed. */
  markChanged(imei: string): void {
    let conflated = 0;
    for (const eventId of this.#assignments.eventsByImei.get(imei) ?? noEvents) {
      conflated += this.#audiences.get(eventId)?.markChanged(imei) ?? 0;
    }
    if (conflated > 0) this.#onConflated(conflated);
  }

  /** Replaces the positions of devices whose newest fix was withdrawn. Call between two ticks. */
  markReset(imeis: readonly string[]): void {
    if (imeis.length === 0) return;
    for (const audience of this.#audiences.values()) audience.resetDevices(imeis);
  }

  /** Starts a new snapshot for every client. Call between two ticks. */
  resync(): void {
    for (const audience of this.#audiences.values()) audience.resync();
  }

  /**
   * Replaces the assignments: clients are sent which devices were added and removed, and the positions of added ones.
   * Call between two ticks.
   */
  reassign(next: Assignments, nowMs: number): ReadonlyMap<string, DeviceChange> {
    const changes = diffAssignments(this.#assignments, next);
    this.#assignments = next;
    this.#assignedAtMs = nowMs;
    for (const [eventId, change] of changes) this.#audiences.get(eventId)?.changeDevices(change);
    return changes;
  }
}
