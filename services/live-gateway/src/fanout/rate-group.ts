import { DeviceSet } from './device-set.ts';
import type { Dialect, Subscription } from '../subscriptions/subscription.ts';

/** What the members of a group have in common. */
export interface GroupKind {
  readonly dialect: Dialect;
  readonly rateClass: number;
  /** See `isDue`. */
  readonly tickPhase: number;
}

/** What one flush of a group writes, and to whom. */
export interface Flush {
  readonly changed: DeviceSet;
  readonly live: readonly Subscription[];
  readonly catchingUp: readonly Subscription[];
  /** Positions of subscriptions that are catching up, replaced by a newer one before they were sent. */
  readonly conflated: number;
}

const noDevices = new DeviceSet();

/**
 * The subscriptions of one event with the same dialect, rate and tick phase.
 *
 * The live ones share one set of changed devices and get the same frames. Each one that is catching up has its own set
 * (`Subscription.unsent`), and becomes live once that is written.
 */
export class RateGroup {
  readonly dialect: Dialect;
  readonly rateClass: number;
  readonly tickPhase: number;
  /** The last control frames included in a flush. */
  controlSeq: number;
  #changed = new DeviceSet();
  /** Devices of the flush being written; a member that leaves meanwhile may not have been sent them. */
  #inFlight: DeviceSet | undefined;
  /** Entries up to here have been sent to live subscriptions, and sent or marked as unsent for the others. */
  #coveredOffset: string | undefined;
  readonly #live = new Set<Subscription>();
  readonly #catchingUp = new Set<Subscription>();

  constructor(kind: GroupKind, controlSeq: number, streamOffset: string | undefined) {
    this.dialect = kind.dialect;
    this.rateClass = kind.rateClass;
    this.tickPhase = kind.tickPhase;
    this.controlSeq = controlSeq;
    this.#coveredOffset = streamOffset;
  }

  get size(): number {
    return this.#live.size + this.#catchingUp.size;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  /** Whether a flush is being written, so that not every member has been sent what `coveredOffset` covers. */
  get isDelivering(): boolean {
    return this.#inFlight !== undefined;
  }

  get catchingUpCount(): number {
    return this.#catchingUp.size;
  }

  /** The stream offset for the cursor of a member without unsent devices. */
  get coveredOffset(): string | undefined {
    return this.#coveredOffset;
  }

  *members(): Generator<Subscription, void, void> {
    yield* this.#live;
    yield* this.#catchingUp;
  }

  /** Moves a subscription to the live ones or to those that are catching up. One that has ended stays removed. */
  updateMembership(subscription: Subscription): void {
    if (subscription.hasEnded) return;
    if (subscription.isCaughtUp) {
      subscription.unsent = undefined;
      this.#catchingUp.delete(subscription);
      this.#live.add(subscription);
    } else {
      subscription.unsent ??= new DeviceSet();
      this.#live.delete(subscription);
      this.#catchingUp.add(subscription);
    }
  }

  isLive(subscription: Subscription): boolean {
    return this.#live.has(subscription);
  }

  /** Removes a member. Devices that it may not have been sent become unsent for it. */
  remove(subscription: Subscription): void {
    this.#live.delete(subscription);
    this.#catchingUp.delete(subscription);
    const unsent = (subscription.unsent ??= new DeviceSet());
    unsent.addAll(this.#changed);
    if (this.#inFlight !== undefined) unsent.addAll(this.#inFlight);
  }

  /** @returns false if the device was already marked: its previous position will not be sent. */
  markChanged(index: number): boolean {
    return this.#changed.add(index);
  }

  forgetIndex(index: number): void {
    this.#changed.delete(index);
  }

  /**
   * Starts a flush of the devices changed since the last one, and marks them as unsent for subscriptions that are
   * catching up. The recipients are copied, because the frames are built for these.
   */
  takeChanges(streamOffset: string | undefined, controlSeq: number): Flush {
    const changed = this.#changed;
    this.#changed = new DeviceSet();
    this.#inFlight = changed;
    this.#coveredOffset = streamOffset;
    this.controlSeq = controlSeq;
    let conflated = 0;
    for (const subscription of this.#catchingUp) conflated += subscription.unsent?.addAll(changed) ?? 0;
    return { changed, live: [...this.#live], catchingUp: [...this.#catchingUp], conflated };
  }

  /** A flush for the subscriptions that are catching up only: they are written to in every tick. */
  flushForCatchingUp(streamOffset: string | undefined): Flush {
    this.advanceIfUnchanged(streamOffset);
    return { changed: noDevices, live: [], catchingUp: [...this.#catchingUp], conflated: 0 };
  }

  /** Without changed devices, live subscriptions already have everything up to the stream offset. */
  advanceIfUnchanged(streamOffset: string | undefined): void {
    if (this.#changed.size === 0 && this.#inFlight === undefined) this.#coveredOffset = streamOffset;
  }

  noteDelivered(): void {
    this.#inFlight = undefined;
  }
}
