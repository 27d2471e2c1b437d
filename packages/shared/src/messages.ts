import { z } from 'zod';
import { errorCodes, highestMaxHz, lowestMaxHz, maxIdLength, subprotocol } from './protocol.ts';
import { parseTopic } from './topics.ts';

export { closeCode, columns, subprotocol, type ErrorCode } from './protocol.ts';

// Every schema drops unknown fields: both sides ignore fields added by later versions.

/** Chosen by the client and echoed in exactly one reply. */
export const messageId = z.union([z.number(), z.string().max(maxIdLength)]);
export type MessageId = z.output<typeof messageId>;

const anyTopic = z.string().refine((value) => parseTopic(value) !== undefined);
const topic = z.string().refine((value) => parseTopic(value)?.kind === 'event');
const resultsTopic = z.string().refine((value) => parseTopic(value)?.kind === 'results');
const longitude = z.number().min(-180).max(180);
const latitude = z.number().min(-90).max(90);
const addressed = { topic, id: messageId.optional() };

/** `[west, south, east, north]` in degrees. If west is above east, the box crosses the antimeridian. */
const bbox = z
  .tuple([longitude, latitude, longitude, latitude])
  .refine(([, south, , north]) => south <= north)
  .readonly();
export type Bbox = z.output<typeof bbox>;

const maxHz = z.number().min(lowestMaxHz).max(highestMaxHz);

const subscribe = z
  .object({
    type: z.literal('subscribe'),
    ...addressed,
    topic: anyTopic,
    maxHz: maxHz.optional(),
    bbox: bbox.optional(),
    /** Resume from this cursor, of `epoch` unless it is one of results. */
    cursor: z.string().optional(),
    epoch: z.string().optional(),
    /** Whether the client reads deflated frames, see `deflatedFrame`. Batched dialect only. */
    deflate: z.boolean().optional(),
  })
  .refine(
    ({ topic: name, cursor, epoch }) =>
      parseTopic(name)?.kind === 'results' || (cursor === undefined) === (epoch === undefined),
    { path: ['cursor'] },
  )
  .readonly();

const update = z
  .object({
    type: z.literal('update'),
    ...addressed,
    maxHz: maxHz.optional(),
    /** null removes the box: the whole event is shown again. */
    bbox: bbox.nullable().optional(),
  })
  .readonly();

const unsubscribe = z.object({ type: z.literal('unsubscribe'), ...addressed, topic: anyTopic }).readonly();

const ping = z.object({ type: z.literal('ping'), id: messageId.optional() }).readonly();

/** Hands over a new session by its ticket, or a new token. Batched dialect, if `hello` has `tickets` or `tokens`. */
const reauthenticate = z
  .object({
    type: z.literal('reauthenticate'),
    id: messageId.optional(),
    ticket: z.string().optional(),
    token: z.string().optional(),
  })
  .refine(({ ticket, token }) => (ticket === undefined) !== (token === undefined), { path: ['ticket'] })
  .readonly();

/** A message from a client, in either dialect. */
export const clientMessage = z.discriminatedUnion('type', [
  subscribe,
  update,
  unsubscribe,
  ping,
  reauthenticate,
]);
export type ClientMessage = z.output<typeof clientMessage>;

const epochMs = z.int().min(0);
const count = z.int().min(0);
/** In the plain dialect the IMEI, in the batched one `devices.id`: an IMEI is a tracker's only credential. */
const deviceId = z.string().min(1);
/** True if the database failed: positions of some devices are missing and are sent later. */
const degraded = z.boolean().optional();

const positionFields = {
  deviceId,
  lat: latitude,
  lon: longitude,
  /** The fix time. */
  ts: epochMs,
  /** km/h, degrees from north and metres. Omitted if unknown; 0 is sent as 0. */
  speed: z.number().optional(),
  course: z.number().optional(),
  altitude: z.number().optional(),
};

/** A position in a plain snapshot. */
const snapshotPosition = z.object(positionFields).readonly();
export type SnapshotPosition = z.output<typeof snapshotPosition>;

const nullableNumber = z.number().nullable();

/** A position in the batched dialect: values in the order of `columns`, null if unknown. */
const row = z
  .tuple([deviceId, longitude, latitude, epochMs, nullableNumber, nullableNumber, nullableNumber])
  .readonly();
export type Row = z.output<typeof row>;

/** A row of a result table by its columns; times are epoch milliseconds, null is unknown. */
const resultRow = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).readonly();
export type ResultRow = z.output<typeof resultRow>;

const bothDialects = [
  /** Results of the event. The first one answers `subscribe`. */
  z
    .object({
      type: z.literal('results'),
      ...addressed,
      topic: resultsTopic,
      /** The client forgets all results of the topic first. */
      reset: z.literal(true).optional(),
      /** By table: rows with their `key` and the columns that are new or have changed. */
      set: z.record(z.string(), z.array(resultRow).readonly()).readonly().optional(),
      /** By table: keys of rows that are gone. */
      removed: z.record(z.string(), z.array(z.string()).readonly()).readonly().optional(),
      /** Both in the message that completes a revision. */
      revision: count.optional(),
      cursor: z.string().optional(),
    })
    .readonly(),
  z
    .object({
      type: z.literal('unsubscribed'),
      ...addressed,
      topic: anyTopic,
      /** `forbidden` if a later check ended the subscription; omitted if the client unsubscribed. */
      reason: z.string().optional(),
    })
    .readonly(),
  z.object({ type: z.literal('updated'), ...addressed }).readonly(),
  /** The stream was rewound, its epoch changed, or the client missed too many control frames; a snapshot follows. */
  z.object({ type: z.literal('resync'), topic }).readonly(),
  /** The server is about to close the connection. */
  z.object({ type: z.literal('reconnect'), afterMs: count }).readonly(),
  /** Sent after 25 s without a frame: a page cannot see WebSocket pings. */
  z.object({ type: z.literal('heartbeat'), time: epochMs, cursor: z.string().optional() }).readonly(),
  z.object({ type: z.literal('pong'), id: messageId.optional() }).readonly(),
  z
    .object({
      type: z.literal('error'),
      id: messageId.optional(),
      code: z.enum(errorCodes),
      message: z.string(),
      temporary: z.boolean(),
      retryAfterMs: count.optional(),
    })
    .readonly(),
] as const;

const plainOnly = [
  z
    .object({
      type: z.literal('subscribed'),
      ...addressed,
      snapshot: z.array(snapshotPosition).readonly(),
      degraded,
    })
    .readonly(),
  z.object({ type: z.literal('position'), topic, ...positionFields }).readonly(),
] as const;

const batchedOnly = [
  z
    .object({
      type: z.literal('hello'),
      protocol: z.literal(subprotocol),
      connection: z.string(),
      /** Whether the client may reauthenticate with tickets, or with tokens. */
      tickets: z.literal(true).optional(),
      tokens: z.literal(true).optional(),
      time: epochMs,
      tickMs: count,
      columns: z.array(z.string()).readonly(),
      limits: z
        .object({ messageBytes: count, messagesPerS: z.number().min(0), subscriptions: count })
        .readonly(),
    })
    .readonly(),
  z
    .object({
      type: z.literal('subscribed'),
      ...addressed,
      epoch: z.string(),
      /** Whether the subscription resumed from the cursor; if not, a full snapshot follows. */
      recovered: z.boolean(),
      /** Number of devices in the event. */
      devices: count,
      degraded,
    })
    .readonly(),
  z
    .object({
      type: z.literal('snapshot'),
      topic,
      /** Part 0 replaces all positions that the client holds. */
      part: count,
      rows: z.array(row).readonly(),
      last: z.literal(true).optional(),
      /** In the last part. */
      cursor: z.string().optional(),
    })
    .readonly(),
  z
    .object({
      type: z.literal('positions'),
      topic,
      /** In the last frame of a flush. */
      cursor: z.string().optional(),
      rows: z.array(row).readonly(),
    })
    .readonly(),
  /** The event's devices changed. Sent before any rows of the same flush. */
  z
    .object({
      type: z.literal('devices'),
      topic,
      added: z.array(deviceId).readonly(),
      removed: z.array(deviceId).readonly(),
    })
    .readonly(),
  /** The session has ended; the connection is closed after `afterMs` unless another session is handed over. */
  z.object({ type: z.literal('session-ended'), afterMs: count }).readonly(),
  z.object({ type: z.literal('reauthenticated'), id: messageId.optional() }).readonly(),
  /** These devices left the bbox. */
  z.object({ type: z.literal('hidden'), topic, devices: z.array(deviceId).readonly() }).readonly(),
] as const;

/** A message to a client that requested no subprotocol. */
export const plainServerMessage = z.discriminatedUnion('type', [...plainOnly, ...bothDialects]);
export type PlainServerMessage = z.output<typeof plainServerMessage>;

/** A message to a client that requested `live.v1`. */
export const batchedServerMessage = z.discriminatedUnion('type', [...batchedOnly, ...bothDialects]);
export type BatchedServerMessage = z.output<typeof batchedServerMessage>;

/** A message in either dialect. A client ignores a type that its dialect does not have. */
export type ServerMessage = PlainServerMessage | BatchedServerMessage;
