import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix } from '../latest/latest-fixes.ts';
import { encodeDevices } from '../protocol/batched-dialect.ts';
import { encodeCursor, viewOf } from '../protocol/cursor.ts';
import { type GroupKind, RateGroup } from './rate-group.ts';
import { Roster } from './roster.ts';
import type { Subscription } from '../subscriptions/subscription.ts';

/** What everybody who watches an event has to hear, in this order, before any row that is written later. */
export interface News {
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
  readonly roster: Roster;
  readonly #groupSize: number;
  readonly #groups = new Map<string, RateGroup>();
  #news: News[] = [];
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
    this.roster = new Roster(options.devices, options.hold);
  }

  get size(): number {
    let size = 0;
    for (const group of this.#groups.values()) size += group.size;
    return size;
  }

  /** The number of the last news. */
  get newsAt(): number {
    return this.#newsAt;
  }

  /** In order; undefined if not all of them are kept any more. */
  newsAfter(number: number): readonly News[] | undefined {
    const missed = this.#newsAt - number;
    return missed > this.#news.length ? undefined : this.#news.slice(this.#news.length - missed);
  }

  /**
   * The cursor of a client that holds everything up to a position; undefined where none can be given. While Postgres has
   * not been asked about a device, an entry that was applied here may say less than the same entry says elsewhere.
   */
  cursorAt(position: string | undefined, bboxHash: string): string | undefined {
    const { roster } = this;
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
    subscription.offset = this.#offsetFor(subscription);
    const key = keyOf(subscription);
    const group = this.#groups.get(key) ?? new RateGroup(subscription, this.#newsAt, position);
    this.#groups.set(key, group);
    group.noteQuiet(position);
    group.place(subscription);
  }

  /**
   * A large audience is spread over the ticks of its interval: written to in one, the last of it would wait for the
   * first, and so would everybody else. A small one shares one frame.
   */
  #offsetFor({ dialect, rateClass }: Subscription): number {
    let least = { offset: 0, size: Number.POSITIVE_INFINITY };
    for (let offset = 0; offset < 2 ** rateClass; offset += 1) {
      const size = this.#groups.get(keyOf({ dialect, rateClass, offset }))?.size ?? 0;
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
    const seat = this.roster.seatOf(imei);
    return seat === undefined ? 0 : this.#markSeat(seat);
  }

  /** Devices came and left: whoever watches hears of it, and of the newcomers' positions. */
  changeDevices(change: DeviceChange): void {
    const members = [...this.#members()];
    const seats = this.roster.change(change, (seat) => {
      for (const group of this.#groups.values()) group.forgetSeat(seat);
      for (const { owed, shown } of members) {
        owed?.delete(seat);
        shown?.delete(seat);
      }
    });
    this.#owe(seats);
    const added = change.added.map(({ id }) => id);
    this.#tell(
      encodeDevices(
        this.topic,
        added,
        change.removed.map(({ id }) => id),
      ),
    );
  }

  /** Positions of these devices went back, or away: they are forgotten first, so that an older one is taken. */
  resetDevices(imeis: Iterable<string>): void {
    const seats = Array.from(imeis, (imei) => this.roster.seatOf(imei)).filter((seat) => seat !== undefined);
    const ids = seats.flatMap((seat) => this.roster.at(seat)?.device.id ?? []);
    if (ids.length === 0) return;
    for (const { shown } of this.#members()) for (const seat of seats) shown?.delete(seat);
    this.#owe(seats);
    this.#tell(encodeDevices(this.topic, ids, ids));
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
    subscription.startSnapshot(this.roster.seats());
    subscription.newsAt = this.#newsAt;
    if (subscription.dialect === 'batched') subscription.owesResync = true;
    else subscription.part = undefined;
    group.place(subscription);
  }

  *#members(): Generator<Subscription, void, void> {
    for (const group of this.#groups.values()) yield* group.members();
  }

  /**
   * Who is apart owes them at once, not with the next flush: it may be told all that it is owed before that, and would
   * get a cursor that speaks for devices of which it has heard nothing.
   */
  #owe(seats: readonly number[]): void {
    for (const seat of seats) {
      this.#markSeat(seat);
      for (const { owed } of this.#members()) owed?.add(seat);
    }
  }

  #markSeat(seat: number): number {
    let conflated = 0;
    for (const group of this.#groups.values()) if (!group.markChanged(seat)) conflated += group.size;
    return conflated;
  }

  #tell(frames: readonly string[]): void {
    this.#newsAt += 1;
    this.#news.push({ number: this.#newsAt, frames });
    if (this.#news.length > maxKeptNews) this.#news.shift();
  }
}

function keyOf({ dialect, rateClass, offset }: GroupKind): string {
  return `${dialect}/${rateClass}/${offset}`;
}
