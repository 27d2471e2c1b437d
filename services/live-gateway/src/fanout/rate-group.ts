import { DeviceSet } from './device-set.ts';
import type { Dialect, Subscription } from '../subscriptions/subscription.ts';

/** What the members of a group have in common. */
export interface GroupKind {
  readonly dialect: Dialect;
  readonly rateClass: number;
  readonly offset: number;
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
  readonly offset: number;
  /** The number of the news that the last flush has told. */
  newsAt: number;
  #changed = new DeviceSet();
  /** What the flush that is being written tells; a member that leaves meanwhile may not have heard it. */
  #inFlight: DeviceSet | undefined;
  /** What came until there is written to those in step, and written or owed to those apart. */
  #coveredPosition: string | undefined;
  readonly #inStep = new Set<Subscription>();
  readonly #apart = new Set<Subscription>();

  constructor(kind: GroupKind, newsAt: number, position: string | undefined) {
    this.dialect = kind.dialect;
    this.rateClass = kind.rateClass;
    this.offset = kind.offset;
    this.newsAt = newsAt;
    this.#coveredPosition = position;
  }

  get size(): number {
    return this.#inStep.size + this.#apart.size;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** Whether a flush is being written: what it covers, not everybody has yet. */
  get isDelivering(): boolean {
    return this.#inFlight !== undefined;
  }

  get apartCount(): number {
    return this.#apart.size;
  }

  /** For the cursor of a member that has been told all that it was owed. */
  get coveredPosition(): string | undefined {
    return this.#coveredPosition;
  }

  *members(): Generator<Subscription, void, void> {
    yield* this.#inStep;
    yield* this.#apart;
  }

  /** Puts a subscription where it belongs: in step if it is settled, apart if not. */
  place(subscription: Subscription): void {
    if (subscription.isSettled) {
      subscription.owed = undefined;
      this.#apart.delete(subscription);
      this.#inStep.add(subscription);
    } else {
      subscription.owed ??= new DeviceSet();
      this.#inStep.delete(subscription);
      this.#apart.add(subscription);
    }
  }

  isInStep(subscription: Subscription): boolean {
    return this.#inStep.has(subscription);
  }

  /** A member leaves; what it has perhaps not been told is from now on owed to it. */
  remove(subscription: Subscription): void {
    this.#inStep.delete(subscription);
    this.#apart.delete(subscription);
    const owed = (subscription.owed ??= new DeviceSet());
    owed.addAll(this.#changed);
    if (this.#inFlight !== undefined) owed.addAll(this.#inFlight);
  }

  /** @returns false if the device was marked already: its position before this one will not be sent. */
  markChanged(seat: number): boolean {
    return this.#changed.add(seat);
  }

  forgetSeat(seat: number): void {
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
    this.#coveredPosition = position;
    this.newsAt = newsAt;
    let conflated = 0;
    for (const subscription of this.#apart) conflated += subscription.owed?.addAll(changed) ?? 0;
    return { changed, inStep: [...this.#inStep], apart: [...this.#apart], conflated };
  }

  /** Takes nothing, but says who is apart: they are served in every tick. */
  takeApart(position: string | undefined): Flush {
    this.noteQuiet(position);
    return { changed: noDevices, inStep: [], apart: [...this.#apart], conflated: 0 };
  }

  /** Where nothing has changed, everybody in step holds what there is by now. */
  noteQuiet(position: string | undefined): void {
    if (this.#changed.size === 0 && this.#inFlight === undefined) this.#coveredPosition = position;
  }

  noteDelivered(): void {
    this.#inFlight = undefined;
  }
}

const noDevices = new DeviceSet();

export interface Flush {
  readonly changed: DeviceSet;
  readonly inStep: readonly Subscription[];
  readonly apart: readonly Subscription[];
  /** Positions that those apart will not be told, because a newer one is owed. */
  readonly conflated: number;
}
