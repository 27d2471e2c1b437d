import { diffAssignments } from '../assignment/diff-assignments.ts';
import type { DeviceChange } from '../assignment/diff-assignments.ts';
import { noAssignments } from '../assignment/assignments.ts';
import type { Assignments, Device } from '../assignment/assignments.ts';
import { Audience } from './audience.ts';
import type { Subscription } from './subscription.ts';

const noDevices: ReadonlyMap<string, Device> = new Map();
const noEvents: readonly string[] = [];

/**
 * Where the two flows meet: which device is in which event, and who watches which event. A changed device is marked
 * here for every audience that sees it; the tick writes from these marks.
 *
 * Everything is synchronous, so that registering, marking and reassigning happen one after the other and never in part.
 */
export class Registry {
  readonly #audiences = new Map<string, Audience>();
  #assignments: Assignments = noAssignments;
  #assignedAtMs = Number.NaN;
  #subscriptionCount = 0;
  readonly #onConflated: (positions: number) => void;

  constructor(onConflated: (positions: number) => void) {
    this.#onConflated = onConflated;
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

  /**
   * Registers, and owes the client every device of the event except those that `writeSnapshot` says it has written.
   * All in one go: what the stream brings before is in the snapshot, what it brings after is marked for the client.
   */
  register(subscription: Subscription, writeSnapshot: (imeis: Iterable<string>) => Iterable<string>): void {
    const { eventId, topic } = subscription;
    const audience = this.#audiences.get(eventId) ?? new Audience(eventId, topic);
    this.#audiences.set(eventId, audience);
    const group = audience.groupOf(subscription);
    group.add(subscription);
    this.#subscriptionCount += 1;
    const imeis = this.devicesOf(eventId).keys();
    group.owe(subscription, imeis);
    group.settle(subscription, writeSnapshot(group.owedTo(subscription)));
  }

  unregister(subscription: Subscription): void {
    const audience = this.#audiences.get(subscription.eventId);
    if (audience === undefined) return;
    const sizeBefore = audience.size;
    audience.remove(subscription);
    this.#subscriptionCount -= sizeBefore - audience.size;
    if (audience.size === 0) this.#audiences.delete(subscription.eventId);
  }

  /** The newest fix of a device has changed. */
  markChanged(imei: string): void {
    let conflated = 0;
    for (const eventId of this.#assignments.eventsByImei.get(imei) ?? noEvents) {
      conflated += this.#audiences.get(eventId)?.markChanged(imei) ?? 0;
    }
    if (conflated > 0) this.#onConflated(conflated);
  }

  /**
   * Puts new assignments in force: devices that came are marked for everyone who watches their event, devices that
   * left are owed to nobody any more.
   */
  reassign(next: Assignments, nowMs: number): ReadonlyMap<string, DeviceChange> {
    const changes = diffAssignments(this.#assignments, next);
    this.#assignments = next;
    this.#assignedAtMs = nowMs;
    for (const [eventId, { added, removed }] of changes) {
      const audience = this.#audiences.get(eventId);
      if (audience === undefined) continue;
      for (const device of removed) audience.forgetDevice(device.imei);
      for (const device of added) audience.markChanged(device.imei);
    }
    return changes;
  }
}
