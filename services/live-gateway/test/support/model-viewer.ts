import { batchedServerMessage, plainServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, Bbox, Row, SnapshotPosition } from '@app/shared/messages';
import type { ResumePoint } from '../../src/subscriptions/resume.ts';
import type { Dialect, Frame, Recipient, Subscription } from '../../src/subscriptions/subscription.ts';
import { createInflater } from './inflate-frames.ts';
import type { SubscriptionRegistry } from '../../src/subscriptions/subscription-registry.ts';

/** The replica that a viewer is connected to. */
export interface ViewerReplica {
  readonly registry: SubscriptionRegistry;
  dismiss(viewer: ModelViewer): void;
  changeView(viewer: ModelViewer, maxHz: number, bbox: Bbox | undefined): void;
}

/** A client by docs/protocol.md: keeps the positions it was sent, and checks the order of messages and fixes. */
export class ModelViewer {
  readonly eventId: string;
  readonly dialect: Dialect;
  readonly readsDeflated: boolean;
  maxHz: number;
  bbox: Bbox | undefined;
  /** How many more frames the client takes before it counts as lagging. */
  frameBudget = Number.POSITIVE_INFINITY;
  subscription: Subscription | undefined;
  replica: ViewerReplica | undefined;
  /** Fix time and longitude by device. */
  readonly held = new Map<string, readonly [number, number]>();
  /** Violations of the protocol by the gateway. */
  readonly violations: string[] = [];
  /** Fix time of the last row of each device on this connection. */
  readonly #lastFixTimes = new Map<string, number>();
  #epoch: string | undefined;
  #cursor: string | undefined;
  #hasSnapshot = false;
  #nextPart: number | undefined;
  #connection = 0;

  constructor(
    options: Pick<ModelViewer, 'eventId' | 'dialect' | 'maxHz' | 'bbox'> &
      Partial<Pick<ModelViewer, 'readsDeflated'>>,
  ) {
    this.eventId = options.eventId;
    this.dialect = options.dialect;
    this.readsDeflated = options.readsDeflated ?? false;
    this.maxHz = options.maxHz;
    this.bbox = options.bbox;
  }

  get resumePoint(): ResumePoint | undefined {
    return this.#cursor === undefined || this.#epoch === undefined
      ? undefined
      : { cursor: this.#cursor, epoch: this.#epoch };
  }

  /** Starts a new connection: the order of fixes is checked per connection. */
  noteConnected(): void {
    this.#connection += 1;
    this.#lastFixTimes.clear();
  }

  connect(): Recipient {
    this.noteConnected();
    const connection = this.#connection;
    const inflate = createInflater();
    const isOpen = (): boolean => this.#connection === connection;
    return {
      reply: (frame) => this.receive(frame),
      isWritable: () => isOpen() && this.frameBudget > 0,
      writeFrames: (frames: readonly Frame[], isBinary = false) => {
        const taken = isOpen() ? frames.slice(0, this.frameBudget) : [];
        this.frameBudget -= taken.length;
        for (const frame of taken) {
          const bytes = Buffer.from(frame);
          const message = isBinary ? inflate(bytes) : bytes.toString();
          if (message !== undefined) this.receive(message);
        }
        return taken.length;
      },
      fail: (_operation, error) => {
        throw error;
      },
    };
  }

  disconnect(): void {
    this.#connection += 1;
    this.subscription = undefined;
    this.replica = undefined;
  }

  receive(frame: string): void {
    const json: unknown = JSON.parse(frame);
    if (this.dialect === 'batched') {
      this.#receiveBatched(batchedServerMessage.parse(json));
      return;
    }
    const message = plainServerMessage.parse(json);
    const positions: readonly SnapshotPosition[] =
      message.type === 'subscribed' ? message.snapshot : message.type === 'position' ? [message] : [];
    if (message.type === 'subscribed') this.held.clear();
    for (const { deviceId, ts, lon } of positions) this.held.set(deviceId, [ts, lon]);
  }

  #receiveBatched(message: BatchedServerMessage): void {
    switch (message.type) {
      case 'subscribed':
        this.#epoch = message.epoch;
        if (message.recovered) this.#hasSnapshot = true;
        else this.#expectSnapshot();
        break;
      case 'resync':
        this.#expectSnapshot();
        break;
      case 'snapshot':
        if (message.part !== this.#nextPart) this.violations.push(`part ${message.part}`);
        this.#nextPart = message.last === true ? undefined : message.part + 1;
        if (message.part === 0) this.#clear();
        this.#applyRows(message.rows);
        if (message.last === true) this.#hasSnapshot = true;
        this.#noteCursor(message.cursor);
        break;
      case 'positions':
        this.#applyRows(message.rows);
        this.#noteCursor(message.cursor);
        break;
      case 'devices':
        this.#cursor = undefined;
        this.#remove(message.removed);
        break;
      case 'hidden':
        this.#remove(message.devices);
        break;
      case 'error':
        if (!message.temporary) this.violations.push(message.code);
        break;
      default:
      // Other messages do not concern devices.
    }
  }

  #expectSnapshot(): void {
    this.#hasSnapshot = false;
    this.#cursor = undefined;
    this.#nextPart = 0;
  }

  #noteCursor(cursor: string | undefined): void {
    if (this.#hasSnapshot && cursor !== undefined) this.#cursor = cursor;
  }

  #clear(): void {
    this.held.clear();
    this.#lastFixTimes.clear();
  }

  #remove(deviceIds: readonly string[]): void {
    for (const deviceId of deviceIds) {
      this.held.delete(deviceId);
      this.#lastFixTimes.delete(deviceId);
    }
  }

  #applyRows(rows: readonly Row[]): void {
    for (const [deviceId, lon, , ts] of rows) {
      if (ts < (this.#lastFixTimes.get(deviceId) ?? 0))
        this.violations.push(`${deviceId} sent an older fix of ${ts}`);
      this.#lastFixTimes.set(deviceId, ts);
      // A position from an earlier connection may be newer, if that replica was further ahead.
      if (ts >= (this.held.get(deviceId)?.[0] ?? 0)) this.held.set(deviceId, [ts, lon]);
    }
  }
}
