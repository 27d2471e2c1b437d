import { DeviceSet } from './device-set.ts';
import type { Dialect, Subscription } from '../subscriptions/subscription.ts';

/** What the members of a group have in common. */
export interface GroupKind {
  readonly dialect: Dialect;
  readonly rateClass: number;
  readonly tickPhase: number;
}

/**
 * The subscriptions of one event that share a dialect, a rate and a place in the cycle of ticks, and what they have still
 * to be told.
 *
 * Those in step share one set of changed devices and get the same frames. Those apart have a set of their own
 * (`Subscription.owed`), and are in step again once that is written.
 */
export class RateGroup {
  readonly dialect: Dialect;
  readonly rateClass: number;
  /** See `isDue`. */
  readonly tickPhase: number;
  /** The number of the news that the last flush has told. */
  controlSeq: number;
  #changed = new DeviceSet();
  /** What the flush that is being written tells; a member that leaves meanwhile may not have heard it. */
  #inFlight: DeviceSet | undefined;
  /** What came until there is written to those in step, and written or owed to those apart. */
  #coveredOffset: string | undefined;
  readonly #live = new Set<Subscription>();
  readonly #catchingUp = new Set<Subscription>();

  constructor(kind: GroupKind, newsAt: number, position: string | undefined) {
    this.dialect = kind.dialect;
    this.rateClass = kind.rateClass;
    this.tickPhase = kind.tickPhase;
    this.controlSeq = newsAt;
    this.#coveredOffset = position;
  }

  get size(): number {
    return this.#live.size + this.#catchingUp.size;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** Whether a flush is being written: what it covers, not everybody has yet. */
  get isDelivering(): boolean {
    return this.#inFlight !== undefined;
  }

  get catchingUpCount(): number {
    return this.#catchingUp.size;
  }

  /** For the cursor of a member that has been told all that it was owed. */
  get coveredOffset(): string | undefined {
    return this.#coveredOffset;
  }

  *members(): Generator<Subscription, void, void> {
    yield* this.#live;
    yield* this.#catchingUp;
  }

  /** Puts a subscription where it belongs: in step if it is settled, apart if not. */
  reclassify(subscription: Subscription): void {
    if (subscription.isCaughtUp) {
      subscription.pending = undefined;
      this.#catchingUp.delete(subscription);
      this.#live.add(subscription);
    } else {
      subscription.pending ??= new DeviceSet();
      this.#live.delete(subscription);
      this.#catchingUp.add(subscription);
    }
  }

  isLive(subscription: Subscription): boolean {
    return this.#live.has(subscription);
  }

  /** A member leaves; what it has perhaps not been told is from now on owed to it. */
  remove(subscription: Subscription): void {
    this.#live.delete(subscription);
    this.#catchingUp.delete(subscription);
    const owed = (subscription.pending ??= new DeviceSet());
    owed.addAll(this.#changed);
    if (this.#inFlight !== undefined) owed.addAll(this.#inFlight);
  }

  /** @returns false if the device was marked already: its position before this one will not be sent. */
  markChanged(seat: number): boolean {
    return this.#changed.add(seat);
  }

  forgetIndex(seat: number): void {
    this.#changed.delete(seat);
  }

  /**
   * Takes what has changed since the last flush: the devices, and the subscriptions in step (a copy: the recipients of
   * a frame are fixed when it is built). To those apart the same devices are now owed too.
   */
  takeChanges(position: string | undefined, newsAt: number): Flush {
    const changed = this.#changed;
    this.#changed = new DeviceSet();
    this.#inFlight = changed;
    this.#coveredOffset = position;
    this.controlSeq = newsAt;
    let conflated = 0;
    for (const subscription of this.#catchingUp) conflated += subscription.pending?.addAll(changed) ?? 0;
    return { changed, live: [...this.#live], catchingUp: [...this.#catchingUp], conflated };
  }

  /** Takes nothing, but says who is apart: they are served in every tick. */
  takeCatchingUp(position: string | undefined): Flush {
    this.noteQuiet(position);
    return { changed: noDevices, live: [], catchingUp: [...this.#catchingUp], conflated: 0 };
  }

  /** Where nothing has changed, everybody in step holds what there is by now. */
  noteQuiet(position: string | undefined): void {
    if (this.#changed.size === 0 && this.#inFlight === undefined) this.#coveredOffset = position;
  }

  noteDelivered(): void {
    this.#inFlight = undefined;
  }
}

const noDevices = new DeviceSet();

export interface Flush {
  readonly changed: DeviceSet;
  readonly live: readonly Subscription[];
  readonly catchingUp: readonly Subscription[];
  /** Positions that those apart will not be told, because a newer one is owed. */
  readonly conflated: number;
}
