import type { Bbox } from '@app/shared/messages';
import { hashBbox } from '../fanout/bbox.ts';
import { DeviceSet } from '../fanout/device-set.ts';

export type Dialect = 'plain' | 'batched';

/** A text frame. As bytes if many clients get it, since a string would be encoded again for each. */
export type Frame = string | Uint8Array;

/** The connection that a subscription writes to. */
export interface Recipient {
  /** Sends or queues a reply; it precedes all rows written later. */
  reply(frame: string): void;
  /** False while the client is lagging or gone. */
  canTake(): boolean;
  /** Writes as many of the frames as the client accepts now, in order, and returns how many. */
  writeRows(frames: readonly Frame[]): number;
}

/**
 * One client's authorised subscription to one event. A new `subscribe` to the same event makes a new object.
 *
 * A live subscription has no set of its own: its group's changed devices are what it gets next. One that is catching up
 * (its snapshot is not written yet, or it could not accept a whole flush) has `pending`, one bit per device.
 */
export class Subscription {
  readonly eventId: string;
  readonly topic: string;
  readonly dialect: Dialect;
  readonly recipient: Recipient;
  /** See `rate-class.ts`. */
  rateClass: number;
  /** Set by its audience; see `isDue`. */
  tickPhase = 0;
  /** Number of the plan at its last change: frames planned until then do not fit its view. */
  changedAtPlan = 0;
  /** Sequence number of the last control frames written to it (see `audience.ts`). */
  controlSeq = 0;
  /** Devices whose newest position is still to be sent; undefined if it is live. */
  pending: DeviceSet | undefined;
  /** With a box: the devices that the client shows. */
  shown: DeviceSet | undefined;
  /** The pending device to continue with; starting at 0 each time would starve the last devices. */
  nextIndex = 0;
  /** Number of the snapshot's next part; undefined once the last one is written. */
  snapshotPart: number | undefined;
  snapshotRows = 0;
  /** Whether a `resync` precedes the snapshot. */
  needsResync = false;
  /** Whether the next flush ends with a cursor even without rows: the client's last one is of another view. */
  needsCursor = false;
  #bbox: Bbox | undefined;
  #bboxHash = '';

  constructor(request: {
    readonly eventId: string;
    readonly topic: string;
    readonly dialect: Dialect;
    readonly recipient: Recipient;
    readonly rateClass: number;
    readonly bbox: Bbox | undefined;
  }) {
    this.eventId = request.eventId;
    this.topic = request.topic;
    this.dialect = request.dialect;
    this.recipient = request.recipient;
    this.rateClass = request.rateClass;
    this.bbox = request.bbox;
    if (request.bbox !== undefined) this.shown = new DeviceSet();
  }

  get bbox(): Bbox | undefined {
    return this.#bbox;
  }

  set bbox(bbox: Bbox | undefined) {
    this.#bbox = bbox;
    this.#bboxHash = hashBbox(bbox);
  }

  get bboxHash(): string {
    return this.#bboxHash;
  }

  /** Makes all devices pending, as a snapshot that replaces what the client holds. */
  startSnapshot(indexes: Iterable<number>): void {
    const pending = new DeviceSet();
    for (const index of indexes) pending.add(index);
    this.pending = pending;
    if (this.shown !== undefined) this.shown = new DeviceSet();
    this.nextIndex = 0;
    this.snapshotPart = 0;
    this.snapshotRows = 0;
  }

  /** Frames already planned are no longer written to it, and it may join no group. */
  end(): void {
    this.changedAtPlan = Number.POSITIVE_INFINITY;
  }

  get hasEnded(): boolean {
    return this.changedAtPlan === Number.POSITIVE_INFINITY;
  }

  /** Whether nothing is left to be sent to this client alone. */
  get isCaughtUp(): boolean {
    return (
      (this.pending?.size ?? 0) === 0 &&
      this.snapshotPart === undefined &&
      !this.needsResync &&
      !this.needsCursor
    );
  }
}
