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
 * Where the two flows meet: which device is in which event, and who watches which event. A changed device is marked
 * here for every audience that sees it; the tick writes from these marks.
 *
 * Everything is synchronous, so that registering, marking and reassigning happen one after the other and never in part.
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
    /** How far the feed is applied, see `Timeline`. */
    readonly position: () => string | undefined;
    readonly onConflated: (positions: number) => void;
    /** See `audience.ts`. */
    readonly groupSize?: number;
  }) {
    this.#latest = options.latest;
    this.#streamOffset = options.position;
    this.#onConflated = options.onConflated;
    this.#groupSize = options.groupSize ?? defaultGroupSize;
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  /** Whether it is known at all which device is in which event. */
  get hasAssignments(): boolean {
    return !Number.isNaN(this.#assignedAtMs);
  }

  /** When the assignments in force were read, by the process's clock; NaN before the first time. */
  get assignedAtMs(): number {
    return this.#assignedAtMs;
  }

  /** How far the feed is applied. */
  get streamOffset(): string | undefined {
    return this.#streamOffset();
  }

  /** A plan is made: what is changed from now on is not for its frames. */
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

  /** By IMEI. */
  devicesOf(eventId: string): ReadonlyMap<string, Device> {
    return this.#assignments.devicesByEvent.get(eventId) ?? noDevices;
  }

  /** Those who watch the event, or would be the first. Nobody keeps it who does not register. */
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

  /** From now on the subscription is told what it is owed, and everything that changes. */
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

  /** Changes a subscription's view; frames that are planned already are not for it any more. */
  change(subscription: Subscription, change: (audience: Audience) => void): void {
    const audience = this.#audiences.get(subscription.eventId);
    if (audience === undefined) return;
    audience.remove(subscription);
    change(audience);
    subscription.changedAtPlan = this.#planNumber;
    audience.add(subscription, this.#streamOffset());
  }

  /** The newest fix of a device has changed. */
  markChanged(imei: string): void {
    let conflated = 0;
    for (const eventId of this.#assignments.eventsByImei.get(imei) ?? noEvents) {
      conflated += this.#audiences.get(eventId)?.markChanged(imei) ?? 0;
    }
    if (conflated > 0) this.#onConflated(conflated);
  }

  /** The newest fixes of these devices went back, or away. Between two ticks. */
  markReset(imeis: readonly string[]): void {
    if (imeis.length === 0) return;
    for (const audience of this.#audiences.values()) audience.resetDevices(imeis);
  }

  /** Nobody's picture is to be trusted any more: all get a new snapshot. Between two ticks. */
  resync(): void {
    for (const audience of this.#audiences.values()) audience.resync();
  }

  /**
   * Puts new assignments in force, between two ticks: those who watch are told which devices came and left, devices
   * that came are marked for them, devices that left are owed to nobody any more.
   */
  reassign(next: Assignments, nowMs: number): ReadonlyMap<string, DeviceChange> {
    const changes = diffAssignments(this.#assignments, next);
    this.#assignments = next;
    this.#assignedAtMs = nowMs;
    for (const [eventId, change] of changes) this.#audiences.get(eventId)?.changeDevices(change);
    return changes;
  }
}
