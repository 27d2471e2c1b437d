import { batchedServerMessage } from '@app/shared/messages';
import type { BatchedServerMessage, Bbox, ClientMessage, Row } from '@app/shared/messages';
import { parseClientMessage } from '@app/shared/parse-client-message';
import { columns, subprotocol } from '@app/shared/protocol';
import type { ErrorCode } from '@app/shared/protocol';

interface HeldRow {
  readonly row: Row;
  /** The place in the gateway's history at which it became the newest. */
  readonly place: number;
}

interface Event {
  /** Its devices, with a row where one is known. */
  readonly devices: Map<string, HeldRow | undefined>;
  /** Counts what a cursor cannot express: a device that went back to an older row. */
  version: number;
}

interface Subscription {
  bbox: Bbox | undefined;
  /** Devices whose newest row the client does not have. */
  readonly owed: Set<string>;
  readonly shown: Set<string>;
  /** The number of the next part; undefined once the snapshot is complete. */
  part: number | undefined;
}

export type Refusal = Pick<Extract<BatchedServerMessage, { type: 'error' }>, 'retryAfterMs' | 'temporary'> & {
  readonly code: ErrorCode;
};

/**
 * The server's side of the batched dialect as docs/protocol.md has it, with no socket and no clock: what it says is in
 * order and checked against the schemas, and when it flushes is up to the test.
 */
export class ModelGateway {
  readonly sessions = new Set<ModelSession>();
  readonly #events = new Map<string, Event>();
  readonly #refusals = new Map<string, Refusal>();
  #place = 0;
  #epoch = 1;
  /** Rows in one snapshot chunk or frame of positions. */
  chunkRows = 2;

  addDevices(topic: string, ...deviceIds: readonly string[]): void {
    const event = this.#eventOf(topic);
    const added = deviceIds.filter((deviceId) => !event.devices.has(deviceId));
    for (const deviceId of added) event.devices.set(deviceId, undefined);
    this.#sayDevices(topic, added, []);
  }

  removeDevice(topic: string, deviceId: string): void {
    const event = this.#eventOf(topic);
    if (!event.devices.delete(deviceId)) return;
    this.#sayDevices(topic, [], [deviceId]);
  }

  /** A fix from the stream: only a strictly newer one counts. */
  publish(topic: string, row: Row): void {
    const { devices } = this.#eventOf(topic);
    const held = devices.get(row[0]);
    if (!devices.has(row[0]) || (held !== undefined && held.row[3] >= row[3])) return;
    this.#hold(topic, row);
  }

  /** The newest fix was found faulty: an older one takes its place. */
  goBack(topic: string, row: Row): void {
    const event = this.#eventOf(topic);
    if (!event.devices.has(row[0])) return;
    event.version += 1;
    this.#sayDevices(topic, [row[0]], [row[0]]);
    this.#hold(topic, row);
  }

  /** Redis was emptied: no cursor of before is worth anything. */
  changeEpoch(): void {
    this.#epoch += 1;
  }

  /** What `subscribe` is answered from now on; undefined lets in again. */
  refuse(topic: string, refusal: Refusal | undefined): void {
    if (refusal === undefined) this.#refusals.delete(topic);
    else this.#refusals.set(topic, refusal);
  }

  /** Withdraws a permission. */
  withdraw(topic: string): void {
    for (const session of this.sessions) session.withdraw(topic);
  }

  rowsOf(topic: string, bbox?: Bbox): readonly Row[] {
    return [...this.#eventOf(topic).devices.values()].flatMap((held) =>
      held !== undefined && isInside(held.row, bbox) ? [held.row] : [],
    );
  }

  /** For sessions. */
  read(topic: string): { readonly event: Event; readonly epoch: string; readonly place: number } {
    return { event: this.#eventOf(topic), epoch: `epoch-${this.#epoch}`, place: this.#place };
  }

  /** For sessions. */
  refusalOf(topic: string): Refusal | undefined {
    return this.#refusals.get(topic);
  }

  #hold(topic: string, row: Row): void {
    this.#place += 1;
    this.#eventOf(topic).devices.set(row[0], { row, place: this.#place });
    for (const session of this.sessions) session.noteChanged(topic, row[0]);
  }

  #sayDevices(topic: string, added: readonly string[], removed: readonly string[]): void {
    for (const session of this.sessions) session.sayDevices(topic, added, removed);
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
  readonly #send: (text: string) => void;
  readonly #subscriptions = new Map<string, Subscription>();
  /** All that the client has said, answered or not. */
  readonly heard: ClientMessage[] = [];

  constructor(gateway: ModelGateway, send: (text: string) => void) {
    this.#gateway = gateway;
    this.#send = send;
    gateway.sessions.add(this);
    this.say({
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

  say(message: BatchedServerMessage): void {
    this.#send(JSON.stringify(batchedServerMessage.parse(message)));
  }

  hear(text: string): void {
    const message = parseClientMessage(text);
    if ('code' in message) {
      this.#sayError(message.id, { code: message.code, temporary: false });
      return;
    }
    this.heard.push(message);
    const id = message.id === undefined ? {} : { id: message.id };
    if (message.type === 'ping') {
      this.say({ type: 'pong', ...id });
    } else if (message.type === 'subscribe') {
      this.#subscribe(message);
    } else if (message.type === 'unsubscribe') {
      this.#subscriptions.delete(message.topic);
      this.say({ type: 'unsubscribed', topic: message.topic, ...id });
    } else {
      const subscription = this.#subscriptions.get(message.topic);
      if (subscription === undefined) {
        this.#sayError(message.id, { code: 'not-subscribed', temporary: false });
        return;
      }
      this.say({ type: 'updated', topic: message.topic, ...id });
      if (message.bbox !== undefined) subscription.bbox = message.bbox ?? undefined;
      for (const deviceId of this.#gateway.read(message.topic).event.devices.keys()) {
        if (!subscription.shown.has(deviceId)) subscription.owed.add(deviceId);
      }
    }
  }

  noteChanged(topic: string, deviceId: string): void {
    this.#subscriptions.get(topic)?.owed.add(deviceId);
  }

  sayDevices(topic: string, added: readonly string[], removed: readonly string[]): void {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) return;
    for (const deviceId of removed) {
      subscription.owed.delete(deviceId);
      subscription.shown.delete(deviceId);
    }
    this.say({ type: 'devices', topic, added: [...added], removed: [...removed] });
  }

  withdraw(topic: string): void {
    if (this.#subscriptions.delete(topic)) this.say({ type: 'unsubscribed', topic, reason: 'forbidden' });
  }

  resync(topic: string): void {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) return;
    this.say({ type: 'resync', topic });
    this.#oweEverything(topic, subscription);
  }

  /** Writes one frame of each topic that owes something; false if none did. */
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
      this.#sayError(id, refusal ?? { code: 'already-subscribed', temporary: false });
      return;
    }
    const { event, epoch: ownEpoch, place } = this.#gateway.read(topic);
    const subscription: Subscription = { bbox, owed: new Set(), shown: new Set(), part: undefined };
    this.#subscriptions.set(topic, subscription);
    const [cursorPlace, ...cursorHash] = (cursor ?? '').split('/');
    const isRecovered =
      epoch === ownEpoch && Number(cursorPlace) <= place && cursorHash.join('/') === hashOf(event, bbox);
    this.say({
      type: 'subscribed',
      topic,
      ...(id !== undefined && { id }),
      epoch: ownEpoch,
      recovered: isRecovered,
      devices: event.devices.size,
    });
    if (!isRecovered) {
      this.#oweEverything(topic, subscription);
      return;
    }
    for (const [deviceId, held] of event.devices) {
      subscription.shown.add(deviceId);
      if (held !== undefined && held.place > Number(cursorPlace)) subscription.owed.add(deviceId);
    }
  }

  #oweEverything(topic: string, subscription: Subscription): void {
    subscription.part = 0;
    subscription.shown.clear();
    for (const deviceId of this.#gateway.read(topic).event.devices.keys()) subscription.owed.add(deviceId);
  }

  #flushTopic(topic: string, subscription: Subscription): boolean {
    const { event, place } = this.#gateway.read(topic);
    const { owed, shown, bbox, part } = subscription;
    const rows: Row[] = [];
    const hidden = [...shown].filter((deviceId) => !isInside(event.devices.get(deviceId)?.row, bbox));
    for (const deviceId of hidden) shown.delete(deviceId);
    if (hidden.length > 0) this.say({ type: 'hidden', topic, devices: hidden });
    if (owed.size === 0 && part === undefined) return hidden.length > 0;
    for (const deviceId of owed) {
      if (rows.length === this.#gateway.chunkRows) break;
      owed.delete(deviceId);
      const row = event.devices.get(deviceId)?.row;
      if (row === undefined || !isInside(row, bbox)) continue;
      rows.push(row);
      shown.add(deviceId);
    }
    const end = owed.size === 0 ? { cursor: `${place}/${hashOf(event, bbox)}` } : {};
    if (part === undefined) {
      this.say({ type: 'positions', topic, rows, ...end });
    } else {
      subscription.part = owed.size === 0 ? undefined : part + 1;
      this.say({ type: 'snapshot', topic, part, rows, ...(owed.size === 0 && { last: true }), ...end });
    }
    return true;
  }

  #sayError(id: ClientMessage['id'], refusal: Refusal): void {
    this.say({ type: 'error', ...(id !== undefined && { id }), ...refusal, message: refusal.code });
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
