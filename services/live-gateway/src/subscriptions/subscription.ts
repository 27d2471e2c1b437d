import type { Bbox } from '@app/shared/messages';
import { hashBbox } from '../fanout/bbox.ts';
import { DeviceSet } from '../fanout/device-set.ts';

export type Dialect = 'plain' | 'batched';

/** A text frame. Bytes where many clients get the same: text would be encoded anew for each. */
export type Frame = string | Uint8Array;

/** What a subscription writes to: a client's connection. */
export interface Recipient {
  /** Sends or keeps a reply; replies come before all rows written later. */
  reply(text: string): void;
  /** False while the client is behind with what it was sent, or gone. */
  canTake(): boolean;
  /** Takes as many of the frames as it can now, from the first on, and says how many. */
  writeRows(frames: readonly Frame[]): number;
}

/**
 * One client's wish to see one event, authorised. A new subscription to the same event is a new object.
 *
 * A client that keeps up owns no set: what it is told next stands with its group. One that does not (its snapshot is not
 * written yet, it could not take everything) owes nothing to the others: `owed` is its own, a bit per device.
 */
export class Subscription {
  readonly eventId: string;
  readonly topic: string;
  readonly dialect: Dialect;
  readonly recipient: Recipient;
  /** See `rate-class.ts`. */
  rateClass: number;
  /** Which of the groups of its rate it belongs to, see `isDue`; its audience says. */
  tickPhase = 0;
  /** The number of the last plan before it was changed: a frame planned until then is not for it any more. */
  changedAtPlan = 0;
  /** The number of the news (see `audience.ts`) that it was told last. */
  controlSeq = 0;
  /** Devices whose newest position the client has not been told; undefined if it is in step with its group. */
  pending: DeviceSet | undefined;
  /** With a box: the devices that the client has on its map. */
  shown: DeviceSet | undefined;
  /** Where writing what is owed goes on: from the start each time, the last devices would never get their turn. */
  nextIndex = 0;
  /** The number of the snapshot's next part; undefined once the last one is written. */
  snapshotPart: number | undefined;
  snapshotRows = 0;
  /** A `resync` stands before the snapshot. */
  needsResync = false;
  /** The next flush ends with a cursor, rows or not: the last one that the client has is of another view. */
  needsCursor = false;
  #bbox: Bbox | undefined;
  #bboxHash = '';

  constructor(wish: {
    readonly eventId: string;
    readonly topic: string;
    readonly dialect: Dialect;
    readonly recipient: Recipient;
    readonly rateClass: number;
    readonly bbox: Bbox | undefined;
  }) {
    this.eventId = wish.eventId;
    this.topic = wish.topic;
    this.dialect = wish.dialect;
    this.recipient = wish.recipient;
    this.rateClass = wish.rateClass;
    this.bbox = wish.bbox;
    if (wish.bbox !== undefined) this.shown = new DeviceSet();
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

  /** All devices are owed, as a snapshot that replaces what the client held. */
  startSnapshot(seats: Iterable<number>): void {
    const owed = new DeviceSet();
    for (const seat of seats) owed.add(seat);
    this.pending = owed;
    if (this.shown !== undefined) this.shown = new DeviceSet();
    this.nextIndex = 0;
    this.snapshotPart = 0;
    this.snapshotRows = 0;
  }

  /** No frame is for it any more, and it belongs to no group. */
  end(): void {
    this.changedAtPlan = Number.POSITIVE_INFINITY;
  }

  get hasEnded(): boolean {
    return this.changedAtPlan === Number.POSITIVE_INFINITY;
  }

  /** Whether nothing at all is left to be told to this client alone. */
  get isCaughtUp(): boolean {
    return (
      (this.pending?.size ?? 0) === 0 &&
      this.snapshotPart === undefined &&
      !this.needsResync &&
      !this.needsCursor
    );
  }
}
