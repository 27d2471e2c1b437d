import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix } from '../latest/latest-fixes.ts';
import { encodeDevices } from '../protocol/batched-dialect.ts';
import { encodeCursor, hashView } from '../protocol/cursor.ts';
import type { Subscription } from '../subscriptions/subscription.ts';
import { createDictionary } from './deflate-frames.ts';
import type { FrameDictionary } from './deflate-frames.ts';
import { DeviceIndex } from './device-index.ts';
import { RateGroup } from './rate-group.ts';
import type { GroupKind } from './rate-group.ts';

/** Frames that every subscription must be sent in this order, before any row written later. */
export interface ControlFrames {
  readonly seq: number;
  readonly frames: readonly string[];
}

/** A subscription that has missed more than this many gets a new snapshot instead. */
const maxKeptControlFrames = 64;

/** Maximum subscriptions per group; further ones join a group with another tick phase, if the rate class has one. */
export const defaultGroupSize = 500;

/** The subscriptions of one event in groups by dialect, rate and tick phase, and the event's devices. */
export class Audience {
  readonly eventId: string;
  readonly topic: string;
  readonly devices: DeviceIndex;
  readonly #groupSize: number;
  readonly #groups = new Map<string, RateGroup>();
  #controlFrames: ControlFrames[] = [];
  #controlSeq = 0;
  #dictionary: FrameDictionary | undefined;

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

  /** The sequence number of the last control frames. */
  get controlSeq(): number {
    return this.#controlSeq;
  }

  /** Control frames after a sequence number, in order; undefined if some of them are no longer kept. */
  controlFramesAfter(seq: number): readonly ControlFrames[] | undefined {
    const missed = this.#controlSeq - seq;
    return missed > this.#controlFrames.length
      ? undefined
      : this.#controlFrames.slice(this.#controlFrames.length - missed);
  }

  /**
   * The cursor of a client that has been sent everything up to the stream offset. Undefined before all devices are
   * hydrated: until then this gateway may know less at the same offset than another one.
   */
  cursorAt(streamOffset: string | undefined, bboxHash: string): string | undefined {
    const { devices } = this;
    if (streamOffset === undefined || !devices.isHydrated) return undefined;
    return encodeCursor(streamOffset, hashView(devices.hash, bboxHash));
  }

  /** For deflating frames: a new one after each change of the devices. */
  get dictionary(): FrameDictionary {
    this.#dictionary ??= createDictionary(this.topic, this.devices.ids());
    return this.#dictionary;
  }

  groups(): Iterable<RateGroup> {
    return this.#groups.values();
  }

  groupOf(subscription: Subscription): RateGroup | undefined {
    return this.#groups.get(groupKey(subscription));
  }

  add(subscription: Subscription, streamOffset: string | undefined): void {
    subscription.tickPhase = this.#chooseTickPhase(subscription);
    const key = groupKey(subscription);
    const group = this.#groups.get(key) ?? new RateGroup(subscription, this.#controlSeq, streamOffset);
    this.#groups.set(key, group);
    group.advanceIfUnchanged(streamOffset);
    group.updateMembership(subscription);
  }

  /**
   * Spreads a large audience over the ticks of its interval: written in one tick, it would delay its own last
   * subscriptions and all other events. A small audience stays in one group and shares each frame.
   */
  #chooseTickPhase({ dialect, rateClass }: Subscription): number {
    let smallest = { tickPhase: 0, size: Number.POSITIVE_INFINITY };
    for (let tickPhase = 0; tickPhase < 2 ** rateClass; tickPhase += 1) {
      const size = this.#groups.get(groupKey({ dialect, rateClass, tickPhase }))?.size ?? 0;
      if (size < this.#groupSize) return tickPhase;
      if (size < smallest.size) smallest = { tickPhase, size };
    }
    return smallest.tickPhase;
  }

  remove(subscription: Subscription): void {
    const key = groupKey(subscription);
    const group = this.#groups.get(key);
    group?.remove(subscription);
    if (group?.size === 0) this.#groups.delete(key);
  }

  /** @returns how many subscriptions will not be sent the device's previous position. */
  markChanged(imei: string): number {
    const index = this.devices.indexOf(imei);
    return index === undefined ? 0 : this.#markIndex(index);
  }

  /** Adds and removes devices, and announces both with control frames. */
  changeDevices(change: DeviceChange): void {
    this.#dictionary = undefined;
    const members = [...this.#members()];
    const addedIndexes = this.devices.change(change, (index) => {
      for (const group of this.#groups.values()) group.forgetIndex(index);
      for (const { unsent, shown } of members) {
        unsent?.delete(index);
        shown?.delete(index);
      }
    });
    this.#markUnsent(addedIndexes);
    this.#addControlFrames(encodeDevices(this.topic, idsOf(change.added), idsOf(change.removed)));
  }

  /** The devices' latest fixes were retracted. Clients drop them first, or they would ignore an older fix. */
  resetDevices(imeis: Iterable<string>): void {
    const indexes = Array.from(imeis, (imei) => this.devices.indexOf(imei)).filter(
      (index) => index !== undefined,
    );
    const ids = indexes.flatMap((index) => this.devices.at(index)?.device.id ?? []);
    if (ids.length === 0) return;
    for (const { shown } of this.#members()) for (const index of indexes) shown?.delete(index);
    this.#markUnsent(indexes);
    this.#addControlFrames(encodeDevices(this.topic, ids, ids));
  }

  /** Sends every subscription a new snapshot. */
  resync(): void {
    for (const group of this.#groups.values()) {
      // A copy: each subscription moves from one of the group's sets to the other.
      for (const subscription of Array.from(group.members())) this.resyncOne(group, subscription);
    }
  }

  /** Sends one subscription a new snapshot. */
  resyncOne(group: RateGroup, subscription: Subscription): void {
    subscription.startSnapshot(this.devices.indexes());
    subscription.controlSeq = this.#controlSeq;
    if (subscription.dialect === 'batched') subscription.needsResync = true;
    else subscription.snapshotPart = undefined;
    group.updateMembership(subscription);
  }

  *#members(): Generator<Subscription, void, void> {
    for (const group of this.#groups.values()) yield* group.members();
  }

  /**
   * Marks devices as changed, and at once as unsent where a subscription is catching up. If that waited for the group's
   * next flush, the subscription could be sent its last unsent device before, with a cursor that covers these too.
   */
  #markUnsent(indexes: readonly number[]): void {
    for (const index of indexes) {
      this.#markIndex(index);
      for (const { unsent } of this.#members()) unsent?.add(index);
    }
  }

  #markIndex(index: number): number {
    let conflated = 0;
    for (const group of this.#groups.values()) if (!group.markChanged(index)) conflated += group.size;
    return conflated;
  }

  #addControlFrames(frames: readonly string[]): void {
    this.#controlSeq += 1;
    this.#controlFrames.push({ seq: this.#controlSeq, frames });
    if (this.#controlFrames.length > maxKeptControlFrames) this.#controlFrames.shift();
  }
}

function idsOf(devices: readonly Device[]): readonly string[] {
  return devices.map(({ id }) => id);
}

function groupKey({ dialect, rateClass, tickPhase }: GroupKind): string {
  return `${dialect}/${rateClass}/${tickPhase}`;
}
