import type { Bbox } from '@app/shared/messages';
import type { ClientOperation } from '../connection/client-errors.ts';
import { hashBbox } from '../fanout/bbox.ts';
import type { FrameDictionary } from '../fanout/deflate-frames.ts';
import { DeviceSet } from '../fanout/device-set.ts';

export type Dialect = 'plain' | 'batched';

/** A frame. As bytes if many clients get it: a string would be encoded again for each of them. */
export type Frame = string | Uint8Array;

/** The connection that a subscription writes to. */
export interface Recipient {
  /** Sends or queues a reply; replies precede all rows written later. */
  reply(frame: string): void;
  /** False while the client is lagging, and after the connection was closed. */
  isWritable(): boolean;
  /** @returns how many of the frames, text unless `isBinary`, were written, from the first on. */
  writeFrames(frames: readonly Frame[], isBinary?: boolean): number;
  /** Reports an unexpected error while this client was served, and closes its connection. */
  fail(operation: ClientOperation, error: unknown): void;
}

/**
 * One client's authorised subscription to one event. Subscribing again creates a new object.
 *
 * A live subscription has no state of its own: its group knows what to send next. One that is catching up (it is in its
 * snapshot, or its connection was not writable) has its own set of unsent devices.
 */
export class Subscription {
  readonly eventId: string;
  readonly topic: string;
  readonly dialect: Dialect;
  readonly recipient: Recipient;
  /** Whether the client has asked for deflated frames. */
  readonly readsDeflated: boolean;
  /** The last dictionary that the client was sent. */
  dictionary: FrameDictionary | undefined;
  /** See `rate-class.ts`. */
  rateClass: number;
  /** Assigned by the audience, see `isDue`. */
  tickPhase = 0;
  /** The last plan before this subscription changed: frames planned up to then must not be written to it. */
  changedAtPlan = 0;
  /** The last control frames that the client was sent, see `Audience`. */
  controlSeq = 0;
  /** Devices whose newest position is still to be sent; undefined if the subscription is live. */
  unsent: DeviceSet | undefined;
  /** With a box: the devices that the client shows. */
  shown: DeviceSet | undefined;
  /** Where the next selection of unsent devices starts, so that each device is sent in turn. */
  nextIndex = 0;
  /** The number of the next part of the snapshot; undefined after the last one. */
  snapshotPart: number | undefined;
  snapshotRows = 0;
  /** A `resync` must be sent before the snapshot. */
  needsResync = false;
  /** The client's last cursor is of another view: the next flush ends with a cursor, with or without rows. */
  needsCursor = false;
  #bbox: Bbox | undefined;
  #bboxHash = '';
  #hasEnded = false;

  constructor(options: {
    readonly eventId: string;
    readonly topic: string;
    readonly dialect: Dialect;
    readonly recipient: Recipient;
    readonly rateClass: number;
    readonly bbox: Bbox | undefined;
    readonly readsDeflated?: boolean;
  }) {
    this.eventId = options.eventId;
    this.topic = options.topic;
    this.dialect = options.dialect;
    this.recipient = options.recipient;
    this.readsDeflated = options.readsDeflated ?? false;
    this.rateClass = options.rateClass;
    this.bbox = options.bbox;
    if (options.bbox !== undefined) this.shown = new DeviceSet();
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

  /** Marks all devices as unsent, for a snapshot that replaces everything the client shows. */
  startSnapshot(deviceIndexes: Iterable<number>): void {
    const unsent = new DeviceSet();
    for (const index of deviceIndexes) unsent.add(index);
    this.unsent = unsent;
    if (this.shown !== undefined) this.shown = new DeviceSet();
    this.nextIndex = 0;
    this.snapshotPart = 0;
    this.snapshotRows = 0;
  }

  /** The device's newest position has been written. */
  noteSent(index: number): void {
    this.unsent?.delete(index);
    this.shown?.add(index);
  }

  /** No planned frame is written to it any more, and no group adds it again. */
  end(): void {
    this.#hasEnded = true;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether frames of this plan may be written to it: it has neither ended nor changed its view since the plan. */
  isInPlan(planNumber: number): boolean {
    return !this.#hasEnded && this.changedAtPlan < planNumber;
  }

  /** Whether nothing is left to be sent to this client alone. */
  get isCaughtUp(): boolean {
    return (
      (this.unsent?.size ?? 0) === 0 &&
      this.snapshotPart === undefined &&
      !this.needsResync &&
      !this.needsCursor
    );
  }
}
