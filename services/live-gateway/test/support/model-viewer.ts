import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, Bbox, Row, SnapshotPosition } from '@app/shared/messages';
import type { ResumePoint } from '../../src/subscriptions/resume.ts';
import type { Dialect, Frame, Recipient, Subscription } from '../../src/subscriptions/subscription.ts';
import type { SubscriptionRegistry } from '../../src/subscriptions/subscription-registry.ts';

/** What a viewer's replica does for it. */
export interface ViewerReplica {
  readonly registry: SubscriptionRegistry;
  dismiss(viewer: ModelViewer): void;
  changeView(viewer: ModelViewer, maxHz: number, bbox: Bbox | undefined): void;
}

/** A client that takes frames as long as it has appetite, and holds what docs/protocol.md says that it holds. */
export class ModelViewer {
  readonly eventId: string;
  readonly dialect: Dialect;
  maxHz: number;
  bbox: Bbox | undefined;
  appetite = Number.POSITIVE_INFINITY;
  subscription: Subscription | undefined;
  replica: ViewerReplica | undefined;
  /** Fix time and longitude by device. */
  readonly held = new Map<string, readonly [number, number]>();
  /** What it was told and must not be. */
  readonly complaints: string[] = [];
  /** What came over this connection, by device. */
  readonly #told = new Map<string, number>();
  #epoch: string | undefined;
  #cursor: string | undefined;
  #isWhole = false;
  #nextPart: number | undefined;
  #connection = 0;

  constructor(wish: Pick<ModelViewer, 'eventId' | 'dialect' | 'maxHz' | 'bbox'>) {
    this.eventId = wish.eventId;
    this.dialect = wish.dialect;
    this.maxHz = wish.maxHz;
    this.bbox = wish.bbox;
  }

  get resumePoint(): ResumePoint | undefined {
    return this.#cursor === undefined || this.#epoch === undefined
      ? undefined
      : { cursor: this.#cursor, epoch: this.#epoch };
  }

  /** A new connection: what comes over it is judged by itself. */
  begin(): void {
    this.#connection += 1;
    this.#told.clear();
  }

  connect(): Recipient {
    this.begin();
    const connection = this.#connection;
    const isOpen = (): boolean => this.#connection === connection;
    return {
      reply: (text) => this.hear(text),
      canTake: () => isOpen() && this.appetite > 0,
      writeRows: (frames: readonly Frame[]) => {
        const eaten = isOpen() ? frames.slice(0, this.appetite) : [];
        this.appetite -= eaten.length;
        for (const frame of eaten)
          this.hear(typeof frame === 'string' ? frame : Buffer.from(frame).toString());
        return eaten.length;
      },
    };
  }

  disconnect(): void {
    this.#connection += 1;
    this.subscription = undefined;
    this.replica = undefined;
  }

  hear(text: string): void {
    const json: unknown = JSON.parse(text);
    if (this.dialect === 'batched') {
      this.#hearBatched(batchedServerMessage.parse(json));
      return;
    }
    const message = plainServerMessage.parse(json);
    const positions: readonly SnapshotPosition[] =
      message.type === 'subscribed' ? message.snapshot : message.type === 'position' ? [message] : [];
    if (message.type === 'subscribed') this.held.clear();
    for (const { deviceId, ts, lon } of positions) this.held.set(deviceId, [ts, lon]);
  }

  #hearBatched(message: BatchedServerMessage): void {
    switch (message.type) {
      case 'subscribed':
        this.#epoch = message.epoch;
        if (message.recovered) this.#isWhole = true;
        else this.#expectSnapshot();
        break;
      case 'resync':
        this.#expectSnapshot();
        break;
      case 'snapshot':
        if (message.part !== this.#nextPart) this.complaints.push(`part ${message.part}`);
        this.#nextPart = message.last === true ? undefined : message.part + 1;
        if (message.part === 0) this.#forgetAll();
        this.#take(message.rows);
        if (message.last === true) this.#isWhole = true;
        this.#noteCursor(message.cursor);
        break;
      case 'positions':
        this.#take(message.rows);
        this.#noteCursor(message.cursor);
        break;
      case 'devices':
        this.#cursor = undefined;
        this.#forget(message.removed);
        break;
      case 'hidden':
        this.#forget(message.devices);
        break;
      case 'error':
        if (!message.temporary) this.complaints.push(message.code);
        break;
      default:
      // What keeps a connection going says nothing about devices.
    }
  }

  #expectSnapshot(): void {
    this.#isWhole = false;
    this.#cursor = undefined;
    this.#nextPart = 0;
  }

  #noteCursor(cursor: string | undefined): void {
    if (this.#isWhole && cursor !== undefined) this.#cursor = cursor;
  }

  #forgetAll(): void {
    this.held.clear();
    this.#told.clear();
  }

  #forget(deviceIds: readonly string[]): void {
    for (const deviceId of deviceIds) {
      this.held.delete(deviceId);
      this.#told.delete(deviceId);
    }
  }

  #take(rows: readonly Row[]): void {
    for (const [deviceId, lon, , ts] of rows) {
      if (ts < (this.#told.get(deviceId) ?? 0)) this.complaints.push(`${deviceId} back to ${ts}`);
      this.#told.set(deviceId, ts);
      // What it held before this connection may be newer: another replica was further.
      if (ts >= (this.held.get(deviceId)?.[0] ?? 0)) this.held.set(deviceId, [ts, lon]);
    }
  }
}
