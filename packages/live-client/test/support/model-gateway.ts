import { batchedServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, Bbox, ClientMessage, Row } from '@app/shared/messages';
import { parseClientMessage } from '@app/shared/parse-client-message';
import { columns, subprotocol } from '@app/shared/protocol';
import type { ErrorCode } from '@app/shared/protocol';

interface StoredRow {
  readonly row: Row;
  /** The offset in the gateway's history at which it became the newest. */
  readonly offset: number;
}

interface Event {
  /** The newest row of each device, if known. */
  readonly devices: Map<string, StoredRow | undefined>;
  /** Incremented when a device goes back to an older row, which invalidates cursors. */
  version: number;
}

interface Subscription {
  bbox: Bbox | undefined;
  /** Devices whose newest row is still to be sent. */
  readonly pending: Set<string>;
  readonly shown: Set<string>;
  /** The next part of the snapshot; undefined once it is complete. */
  part: number | undefined;
}

export type Refusal = Pick<Extract<BatchedServerMessage, { type: 'error' }>, 'retryAfterMs' | 'temporary'> & {
  readonly code: ErrorCode;
};

/**
 * The server's side of the batched dialect in docs/protocol.md, without sockets and timers: the test flushes. Messages are
 * validated by the schemas.
 */
export class ModelGateway {
  readonly sessions = new Set<ModelSession>();
  readonly #events = new Map<string, Event>();
  readonly #refusals = new Map<string, Refusal>();
  #offset = 0;
  #epoch = 1;
  /** Rows in one snapshot chunk or frame of positions. */
  chunkRows = 2;

  addDevices(topic: string, ...deviceIds: readonly string[]): void {
    const event = this.#eventOf(topic);
    const added = deviceIds.filter((deviceId) => !event.devices.has(deviceId));
    for (const deviceId of added) event.devices.set(deviceId, undefined);
    this.#sendDevices(topic, added, []);
  }

  removeDevice(topic: string, deviceId: string): void {
    const event = this.#eventOf(topic);
    if (!event.devices.delete(deviceId)) return;
    this.#sendDevices(topic, [], [deviceId]);
  }

  /** Applies a fix from the stream if it is strictly newer. */
  publish(topic: string, row: Row): void {
    const { devices } = this.#eventOf(topic);
    const stored = devices.get(row[0]);
    if (!devices.has(row[0]) || (stored !== undefined && stored.row[3] >= row[3])) return;
    this.#store(topic, row);
  }

  /** Replaces a faulty newest fix by an older one. */
  publishOlder(topic: string, row: Row): void {
    const event = this.#eventOf(topic);
    if (!event.devices.has(row[0])) return;
    event.version += 1;
    this.#sendDevices(topic, [row[0]], [row[0]]);
    this.#store(topic, row);
  }

  /** Invalidates all cursors, as after Redis was emptied. */
  changeEpoch(): void {
    this.#epoch += 1;
  }

  /** Sets the error for `subscribe`; undefined to accept it again. */
  refuse(topic: string, refusal: Refusal | undefined): void {
    if (refusal === undefined) this.#refusals.delete(topic);
    else this.#refusals.set(topic, refusal);
  }

  /** Revokes the permission for a topic. */
  revoke(topic: string): void {
    for (const session of this.sessions) session.revoke(topic);
  }

  rowsOf(topic: string, bbox?: Bbox): readonly Row[] {
    return [...this.#eventOf(topic).devices.values()].flatMap((stored) =>
      stored !== undefined && isInside(stored.row, bbox) ? [stored.row] : [],
    );
  }

  /** For sessions. */
  read(topic: string): { readonly event: Event; readonly epoch: string; readonly offset: number } {
    return { event: this.#eventOf(topic), epoch: `epoch-${this.#epoch}`, offset: this.#offset };
  }

  /** For sessions. */
  refusalOf(topic: string): Refusal | undefined {
    return this.#refusals.get(topic);
  }

  #store(topic: string, row: Row): void {
    this.#offset += 1;
    this.#eventOf(topic).devices.set(row[0], { row, offset: this.#offset });
    for (const session of this.sessions) session.markPending(topic, row[0]);
  }

  #sendDevices(topic: string, added: readonly string[], removed: readonly string[]): void {
    for (const session of this.sessions) session.sendDevices(topic, added, removed);
  }

  #eventOf(topic: string): Event {
    const event = this.#events.get(topic) ?? { devices: new Map(), version: 0 };
    this.#events.set(topic, event);
    return event;
  }
}

/** One connection. */
export class ModelSession {
  readonly #gateway: ModelGateway;
  readonly #sendFrame: (data: string) => void;
  readonly #subscriptions = new Map<string, Subscription>();
  /** All valid messages of the client. */
  readonly received: ClientMessage[] = [];

  constructor(gateway: ModelGateway, send: (data: string) => void) {
    this.#gateway = gateway;
    this.#sendFrame = send;
    gateway.sessions.add(this);
    this.send({
      type: 'hello',
      protocol: subprotocol,
      connection: 'model',
      time: 0,
      tickMs: 125,
      columns: [...columns],
      limits: { messageBytes: 4096, messagesPerS: 10, subscriptions: 16 },
    });
  }

  close(): void {
    this.#gateway.sessions.delete(this);
  }

  send(message: BatchedServerMessage): void {
    this.#sendFrame(JSON.stringify(batchedServerMessage.parse(message)));
  }

  receive(data: string): void {
    const message = parseClientMessage(data);
    if ('code' in message) {
      this.#sendError(message.id, { code: message.code, temporary: false });
      return;
    }
    this.received.push(message);
    const id = message.id === undefined ? {} : { id: message.id };
    if (message.type === 'ping') {
      this.send({ type: 'pong', ...id });
    } else if (message.type === 'subscribe') {
      this.#subscribe(message);
    } else if (message.type === 'unsubscribe') {
      this.#subscriptions.delete(message.topic);
      this.send({ type: 'unsubscribed', topic: message.topic, ...id });
    } else if (message.type === 'update') {
      const subscription = this.#subscriptions.get(message.topic);
      if (subscription === undefined) {
        this.#sendError(message.id, { code: 'not-subscribed', temporary: false });
        return;
      }
      this.send({ type: 'updated', topic: message.topic, ...id });
      if (message.bbox !== undefined) subscription.bbox = message.bbox ?? undefined;
      for (const deviceId of this.#gateway.read(message.topic).event.devices.keys()) {
        if (!subscription.shown.has(deviceId)) subscription.pending.add(deviceId);
      }
    }
  }

  markPending(topic: string, deviceId: string): void {
    this.#subscriptions.get(topic)?.pending.add(deviceId);
  }

  sendDevices(topic: string, added: readonly string[], removed: readonly string[]): void {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) return;
    for (const deviceId of removed) {
      subscription.pending.delete(deviceId);
      subscription.shown.delete(deviceId);
    }
    this.send({ type: 'devices', topic, added: [...added], removed: [...removed] });
  }

  revoke(topic: string): void {
    if (this.#subscriptions.delete(topic)) this.send({ type: 'unsubscribed', topic, reason: 'forbidden' });
  }

  resync(topic: string): void {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) return;
    this.send({ type: 'resync', topic });
    this.#markAllPending(topic, subscription);
  }

  /** Sends one frame per topic with pending devices; false if there was none. */
  flush(): boolean {
    let hasWritten = false;
    for (const [topic, subscription] of this.#subscriptions) {
      hasWritten = this.#flushTopic(topic, subscription) || hasWritten;
    }
    return hasWritten;
  }

  #subscribe({ topic, id, cursor, epoch, bbox }: Extract<ClientMessage, { type: 'subscribe' }>): void {
    const refusal = this.#gateway.refusalOf(topic);
    if (refusal !== undefined || this.#subscriptions.has(topic)) {
      this.#sendError(id, refusal ?? { code: 'already-subscribed', temporary: false });
      return;
    }
    const { event, epoch: ownEpoch, offset } = this.#gateway.read(topic);
    const subscription: Subscription = { bbox, pending: new Set(), shown: new Set(), part: undefined };
    this.#subscriptions.set(topic, subscription);
    const [cursorOffset, ...cursorHash] = (cursor ?? '').split('/');
    const isRecovered =
      epoch === ownEpoch && Number(cursorOffset) <= offset && cursorHash.join('/') === hashOf(event, bbox);
    this.send({
      type: 'subscribed',
      topic,
      ...(id !== undefined && { id }),
      epoch: ownEpoch,
      recovered: isRecovered,
      devices: event.devices.size,
    });
    if (!isRecovered) {
      this.#markAllPending(topic, subscription);
      return;
    }
    for (const [deviceId, stored] of event.devices) {
      subscription.shown.add(deviceId);
      if (stored !== undefined && stored.offset > Number(cursorOffset)) subscription.pending.add(deviceId);
    }
  }

  #markAllPending(topic: string, subscription: Subscription): void {
    subscription.part = 0;
    subscription.shown.clear();
    for (const deviceId of this.#gateway.read(topic).event.devices.keys()) subscription.pending.add(deviceId);
  }

  #flushTopic(topic: string, subscription: Subscription): boolean {
    const { event, offset } = this.#gateway.read(topic);
    const { pending, shown, bbox, part } = subscription;
    const rows: Row[] = [];
    const hidden = [...shown].filter((deviceId) => !isInside(event.devices.get(deviceId)?.row, bbox));
    for (const deviceId of hidden) shown.delete(deviceId);
    if (hidden.length > 0) this.send({ type: 'hidden', topic, devices: hidden });
    if (pending.size === 0 && part === undefined) return hidden.length > 0;
    for (const deviceId of pending) {
      if (rows.length === this.#gateway.chunkRows) break;
      pending.delete(deviceId);
      const row = event.devices.get(deviceId)?.row;
      if (row === undefined || !isInside(row, bbox)) continue;
      rows.push(row);
      shown.add(deviceId);
    }
    const end = pending.size === 0 ? { cursor: `${offset}/${hashOf(event, bbox)}` } : {};
    if (part === undefined) {
      this.send({ type: 'positions', topic, rows, ...end });
    } else {
      subscription.part = pending.size === 0 ? undefined : part + 1;
      this.send({ type: 'snapshot', topic, part, rows, ...(pending.size === 0 && { last: true }), ...end });
    }
    return true;
  }

  #sendError(id: ClientMessage['id'], refusal: Refusal): void {
    this.send({ type: 'error', ...(id !== undefined && { id }), ...refusal, message: refusal.code });
  }
}

function hashOf(event: Event, bbox: Bbox | undefined): string {
  return `${event.version}/${[...event.devices.keys()].toSorted().join()}/${String(bbox)}`;
}

function isInside(row: Row | undefined, bbox: Bbox | undefined): boolean {
  if (row === undefined || bbox === undefined) return true;
  const [, lon, lat] = row;
  const [west, south, east, north] = bbox;
  return lon >= west && lon <= east && lat >= south && lat <= north;
}
