import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix } from '../latest/latest-fixes.ts';
import { encodeDevices } from '../protocol/batched-dialect.ts';
import { encodeCursor, viewOf } from '../protocol/cursor.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { DeviceIndex } from './device-index.ts';
import { type GroupKind, RateGroup } from './rate-group.ts';

/** The control frames of one change; every client gets them before any row that is written later. */
export interface ControlFrames {
  readonly sequence: number;
  readonly frames: readonly string[];
}

/** A client that has missed more changes than this gets a new snapshot. */
const maxKeptChanges = 64;

/** Size at which a new subscription goes to a group with another tick phase. */
export const defaultGroupSize = 500;

/** The subscriptions of one event, in groups by dialect, rate and tick phase, and the event's devices. */
export class Audience {
  readonly eventId: string;
  readonly topic: string;
  readonly devices: DeviceIndex;
  readonly #groupSize: number;
  readonly #groups = new Map<string, RateGroup>();
  #controlFrames: ControlFrames[] = [];
  #controlSeq = 0;

  constructor(options: {
    readonly eventId: string;
    readonly topic: string;
    readonly devices: Iterable<Device>;
    readonly hold: (imei: string) => HeldFix;
    readonly groupSize: number;
  }) {
    this.eventId = options.eventId;
    this.topic = options.topic;
    this.#groupSize = options.groupSize;
    this.devices = new DeviceIndex(options.devices, options.hold);
  }

  get size(): number {
    let size = 0;
    for (const group of this.#groups.values()) size += group.size;
    return size;
  }

  /** Sequence number of the last control frames. */
  get controlSeq(): number {
    return this.#controlSeq;
  }

  /** Control frames after a sequence number, in order; undefined if some of them are no longer kept. */
  controlFramesAfter(sequence: number): readonly ControlFrames[] | undefined {
    const missed = this.#controlSeq - sequence;
    return missed > this.#controlFrames.length
      ? undefined
      : this.#controlFrames.slice(this.#controlFrames.length - missed);
  }

  /**
   * The cursor of a client that holds everything up to a stream offset. Undefined until every device is hydrated: before
   * that, this replica may have applied an entry whose device has a newer fix in Postgres, and a cursor would skip it.
   */
  cursorAt(streamOffset: string | undefined, bboxHash: string): string | undefined {
    if (streamOffset === undefined || !this.devices.isHydrated) return undefined;
    return encodeCursor(streamOffset, viewOf(this.devices.hash, bboxHash));
  }

  groups(): Iterable<RateGroup> {
    return this.#groups.values();
  }

  groupOf(subscription: Subscription): RateGroup | undefined {
    return this.#groups.get(keyOf(subscription));
  }

  add(subscription: Subscription, streamOffset: string | undefined): void {
    subscription.tickPhase = this.#tickPhaseFor(subscription);
    const key = keyOf(subscription);
    const group = this.#groups.get(key) ?? new RateGroup(subscription, this.#controlSeq, streamOffset);
    this.#groups.set(key, group);
    group.advanceIfUnchanged(streamOffset);
    group.reclassify(subscription);
  }

  /**
   * Spreads a large audience over the ticks of its interval: written in one tick, its last client would wait for all
   * others, and so would the other audiences. A small audience shares one frame.
   */
  #tickPhaseFor({ dialect, rateClass }: Subscription): number {
    let smallest = { tickPhase: 0, size: Number.POSITIVE_INFINITY };
    for (let tickPhase = 0; tickPhase < 2 ** rateClass; tickPhase += 1) {
      const size = this.#groups.get(keyOf({ dialect, rateClass, tickPhase }))?.size ?? 0;
      if (size < this.#groupSize) return tickPhase;
      if (size < smallest.size) smallest = { tickPhase, size };
    }
    return smallest.tickPhase;
  }

  remove(subscription: Subscription): void {
    const key = keyOf(subscription);
    const group = this.#groups.get(key);
    group?.remove(subscription);
    if (group?.size === 0) this.#groups.delete(key);
  }

  /** Marks a device as changed and returns for how many clients this replaces a position not yet sent. */
  markChanged(imei: string): number {
    const index = this.devices.indexOf(imei);
    return index === undefined ? 0 : this.#markIndex(index);
  }

  /** Adds and removes devices, and sends `devices` and the positions of added ones to every client. */
  changeDevices(change: DeviceChange): void {
    const members = [...this.#members()];
    const indexes = this.devices.change(change, (index) => {
      for (const group of this.#groups.values()) group.forgetIndex(index);
      for (const { pending, shown } of members) {
        pending?.delete(index);
        shown?.delete(index);
      }
    });
    this.#markPending(indexes);
    this.#addControlFrames(
      encodeDevices(
        this.topic,
        change.added.map(({ id }) => id),
        change.removed.map(({ id }) => id),
      ),
    );
  }

  /**
   * Replaces the positions of devices whose newest fix was withdrawn. `devices` removes and adds them, so that clients
   * accept an older position.
   */
  resetDevices(imeis: Iterable<string>): void {
    const indexes = Array.from(imeis, (imei) => this.devices.indexOf(imei)).filter(
      (index) => index !== undefined,
    );
    const ids = indexes.flatMap((index) => this.devices.at(index)?.device.id ?? []);
    if (ids.length === 0) return;
    for (const { shown } of this.#members()) for (const index of indexes) shown?.delete(index);
    this.#markPending(indexes);
    this.#addControlFrames(encodeDevices(this.topic, ids, ids));
  }

  /** Starts a new snapshot for every client. */
  resync(): void {
    for (const group of this.#groups.values()) {
      // A copy: reclassifying moves a member from one of the group's sets to the other.
      for (const subscription of Array.from(group.members())) this.resyncOne(group, subscription);
    }
  }

  /** Starts a new snapshot for one client. */
  resyncOne(group: RateGroup, subscription: Subscription): void {
    subscription.startSnapshot(this.devices.indexes());
    subscription.controlSeq = this.#controlSeq;
    if (subscription.dialect === 'batched') subscription.needsResync = true;
    else subscription.snapshotPart = undefined;
    group.reclassify(subscription);
  }

  *#members(): Generator<Subscription, void, void> {
    for (const group of this.#groups.values()) yield* group.members();
  }

  /**
   * Also adds the devices to the pending sets of clients that are catching up, at once rather than with the next flush:
   * such a client may send its last pending row before that, and its cursor would cover devices it has not been sent.
   */
  #markPending(indexes: readonly number[]): void {
    for (const index of indexes) {
      this.#markIndex(index);
      for (const { pending } of this.#members()) pending?.add(index);
    }
  }

  #markIndex(index: number): number {
    let conflated = 0;
    for (const group of this.#groups.values()) if (!group.markChanged(index)) conflated += group.size;
    return conflated;
  }

  #addControlFrames(frames: readonly string[]): void {
    this.#controlSeq += 1;
    this.#controlFrames.push({ sequence: this.#controlSeq, frames });
    if (this.#controlFrames.length > maxKeptChanges) this.#controlFrames.shift();
  }
}

function keyOf({ dialect, rateClass, tickPhase }: GroupKind): string {
  return `${dialect}/${rateClass}/${tickPhase}`;
}
