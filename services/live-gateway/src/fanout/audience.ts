import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix } from '../latest/latest-fixes.ts';
import { encodeDevices } from '../protocol/batched-dialect.ts';
import { encodeCursor, viewOf } from '../protocol/cursor.ts';
import { type GroupKind, RateGroup } from './rate-group.ts';
import { DeviceIndex } from './device-index.ts';
import type { Subscription } from '../subscriptions/subscription.ts';

/** What everybody who watches an event has to hear, in this order, before any row that is written later. */
export interface ControlFrames {
  readonly number: number;
  readonly frames: readonly string[];
}

/** Who has missed more than this gets a new snapshot instead. */
const maxKeptNews = 64;

/** So many in one group before those who come go to one that is flushed in another tick. */
export const defaultGroupSize = 500;

/** Those who watch one event, in groups by dialect and rate, and what they watch. */
export class Audience {
  readonly eventId: string;
  readonly topic: string;
  readonly devices: DeviceIndex;
  readonly #groupSize: number;
  readonly #groups = new Map<string, RateGroup>();
  #news: ControlFrames[] = [];
  #newsAt = 0;

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

  /** The number of the last news. */
  get controlSeq(): number {
    return this.#newsAt;
  }

  /** In order; undefined if not all of them are kept any more. */
  controlFramesAfter(number: number): readonly ControlFrames[] | undefined {
    const missed = this.#newsAt - number;
    return missed > this.#news.length ? undefined : this.#news.slice(this.#news.length - missed);
  }

  /**
   * The cursor of a client that holds everything up to a position; undefined where none can be given. While Postgres has
   * not been asked about a device, an entry that was applied here may say less than the same entry says elsewhere.
   */
  cursorAt(position: string | undefined, bboxHash: string): string | undefined {
    const { devices: roster } = this;
    if (position === undefined || !roster.isHydrated) return undefined;
    return encodeCursor(position, viewOf(roster.hash, bboxHash));
  }

  groups(): Iterable<RateGroup> {
    return this.#groups.values();
  }

  groupOf(subscription: Subscription): RateGroup | undefined {
    return this.#groups.get(keyOf(subscription));
  }

  /** @param position how far the feed is applied. */
  add(subscription: Subscription, position: string | undefined): void {
    subscription.tickPhase = this.#tickPhaseFor(subscription);
    const key = keyOf(subscription);
    const group = this.#groups.get(key) ?? new RateGroup(subscription, this.#newsAt, position);
    this.#groups.set(key, group);
    group.noteQuiet(position);
    group.reclassify(subscription);
  }

  /**
   * A large audience is spread over the ticks of its interval: written to in one, the last of it would wait for the
   * first, and so would everybody else. A small one shares one frame.
   */
  #tickPhaseFor({ dialect, rateClass }: Subscription): number {
    let least = { offset: 0, size: Number.POSITIVE_INFINITY };
    for (let offset = 0; offset < 2 ** rateClass; offset += 1) {
      const size = this.#groups.get(keyOf({ dialect, rateClass, tickPhase: offset }))?.size ?? 0;
      if (size < this.#groupSize) return offset;
      if (size < least.size) least = { offset, size };
    }
    return least.offset;
  }

  remove(subscription: Subscription): void {
    const key = keyOf(subscription);
    const group = this.#groups.get(key);
    group?.remove(subscription);
    if (group?.size === 0) this.#groups.delete(key);
  }

  /** @returns how many clients will not see the position before this one. */
  markChanged(imei: string): number {
    const seat = this.devices.indexOf(imei);
    return seat === undefined ? 0 : this.#markIndex(seat);
  }

  /** Devices came and left: whoever watches hears of it, and of the newcomers' positions. */
  changeDevices(change: DeviceChange): void {
    const members = [...this.#members()];
    const seats = this.devices.change(change, (seat) => {
      for (const group of this.#groups.values()) group.forgetIndex(seat);
      for (const { pending: owed, shown } of members) {
        owed?.delete(seat);
        shown?.delete(seat);
      }
    });
    this.#markPending(seats);
    const added = change.added.map(({ id }) => id);
    this.#addControlFrames(
      encodeDevices(
        this.topic,
        added,
        change.removed.map(({ id }) => id),
      ),
    );
  }

  /** Positions of these devices went back, or away: they are forgotten first, so that an older one is taken. */
  resetDevices(imeis: Iterable<string>): void {
    const seats = Array.from(imeis, (imei) => this.devices.indexOf(imei)).filter(
      (seat) => seat !== undefined,
    );
    const ids = seats.flatMap((seat) => this.devices.at(seat)?.device.id ?? []);
    if (ids.length === 0) return;
    for (const { shown } of this.#members()) for (const seat of seats) shown?.delete(seat);
    this.#markPending(seats);
    this.#addControlFrames(encodeDevices(this.topic, ids, ids));
  }

  /** Everybody's picture is in doubt: all get a new snapshot. */
  resync(): void {
    for (const group of this.#groups.values()) {
      // A copy: each moves from one of the group's sets to the other.
      for (const subscription of Array.from(group.members())) this.resyncOne(group, subscription);
    }
  }

  /** The client's picture is in doubt, or too old to be mended. */
  resyncOne(group: RateGroup, subscription: Subscription): void {
    subscription.startSnapshot(this.devices.indexes());
    subscription.controlSeq = this.#newsAt;
    if (subscription.dialect === 'batched') subscription.needsResync = true;
    else subscription.snapshotPart = undefined;
    group.reclassify(subscription);
  }

  *#members(): Generator<Subscription, void, void> {
    for (const group of this.#groups.values()) yield* group.members();
  }

  /**
   * Who is apart owes them at once, not with the next flush: it may be told all that it is owed before that, and would
   * get a cursor that speaks for devices of which it has heard nothing.
   */
  #markPending(seats: readonly number[]): void {
    for (const seat of seats) {
      this.#markIndex(seat);
      for (const { pending: owed } of this.#members()) owed?.add(seat);
    }
  }

  #markIndex(seat: number): number {
    let conflated = 0;
    for (const group of this.#groups.values()) if (!group.markChanged(seat)) conflated += group.size;
    return conflated;
  }

  #addControlFrames(frames: readonly string[]): void {
    this.#newsAt += 1;
    this.#news.push({ number: this.#newsAt, frames });
    if (this.#news.length > maxKeptNews) this.#news.shift();
  }
}

function keyOf({ dialect, rateClass, tickPhase: offset }: GroupKind): string {
  return `${dialect}/${rateClass}/${offset}`;
}
