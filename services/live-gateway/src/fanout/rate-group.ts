import type { Dialect, Subscription } from '../subscriptions/subscription.ts';
import { DeviceSet } from './device-set.ts';

/** What the members of a group have in common. */
export interface GroupKind {
  readonly dialect: Dialect;
  readonly rateClass: number;
  readonly tickPhase: number;
}

/**
 * The subscriptions of one event that share a dialect, a rate and a tick phase.
 *
 * Live members share one set of changed devices and get the same frames. A member that is catching up has a set of its
 * own (`Subscription.pending`), and is live again once that is written.
 */
export class RateGroup {
  readonly dialect: Dialect;
  readonly rateClass: number;
  /** See `isDue`. */
  readonly tickPhase: number;
  /** Sequence number of the control frames that the last flush contained. */
  controlSeq: number;
  #changed = new DeviceSet();
  /** The devices of the flush being written; a member that leaves meanwhile may not have got them. */
  #inFlight: DeviceSet | undefined;
  /** Every entry up to here has been written to live members, and is written or pending for the others. */
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

  /** Whether a flush is being written, so that some members do not have it yet. */
  get isDelivering(): boolean {
    return this.#inFlight !== undefined;
  }

  get catchingUpCount(): number {
    return this.#catchingUp.size;
  }

  /** For the cursor of a member with nothing pending. */
  get coveredOffset(): string | undefined {
    return this.#coveredOffset;
  }

  *members(): Generator<Subscription, void, void> {
    yield* this.#live;
    yield* this.#catchingUp;
  }

  /** Makes a subscription live if it has caught up, and catching up otherwise. */
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

  /** Removes a member; devices it may not have been sent become its pending ones. */
  remove(subscription: Subscription): void {
    this.#live.delete(subscription);
    this.#catchingUp.delete(subscription);
    const pending = (subscription.pending ??= new DeviceSet());
    pending.addAll(this.#changed);
    if (this.#inFlight !== undefined) pending.addAll(this.#inFlight);
  }

  /** @returns false if the device was marked already: its earlier position will not be sent. */
  markChanged(index: number): boolean {
    return this.#changed.add(index);
  }

  forgetIndex(index: number): void {
    this.#changed.delete(index);
  }

  /**
   * Takes the devices changed since the last flush, and the live members (a copy: the recipients of a frame are fixed
   * when it is built). Adds the devices to the pending ones of members that are catching up.
   */
  takeChanges(streamOffset: string | undefined, controlSeq: number): Flush {
    const changed = this.#changed;
    this.#changed = new DeviceSet();
    this.#inFlight = changed;
    this.#coveredOffset = streamOffset;
    this.controlSeq = controlSeq;
    let conflated = 0;
    for (const subscription of this.#catchingUp) conflated += subscription.pending?.addAll(changed) ?? 0;
    return { changed, live: [...this.#live], catchingUp: [...this.#catchingUp], conflated };
  }

  /** A flush for the members that are catching up, which are served in every tick. */
  takeCatchingUp(streamOffset: string | undefined): Flush {
    this.advanceIfUnchanged(streamOffset);
    return { changed: noDevices, live: [], catchingUp: [...this.#catchingUp], conflated: 0 };
  }

  /** Without changes or a flush being written, live members hold everything up to the stream offset. */
  advanceIfUnchanged(streamOffset: string | undefined): void {
    if (this.#changed.size === 0 && this.#inFlight === undefined) this.#coveredOffset = streamOffset;
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
  /** Positions that members catching up are not sent, because a newer one is pending. */
  readonly conflated: number;
}
