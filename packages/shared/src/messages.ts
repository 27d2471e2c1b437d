import { z } from 'zod';
import { parseTopic } from './topics.ts';

/** The `Sec-WebSocket-Protocol` of the batched dialect. Asking for none gets the plain one. */
export const subprotocol = 'live.v1';

/** The order of a row's cells in the batched dialect. */
export const columns = ['deviceId', 'lon', 'lat', 'ts', 'speed', 'course', 'altitude'] as const;

/** Bounds of the protocol itself; what an operator may set comes in `hello`. */
export const maxMessageBytes = 4096;
export const maxIdLength = 64;
export const leastMaxHz = 0.5;
export const mostMaxHz = 20;
/** How much of a plain `subscribed` frame; what does not fit follows as `position`. */
export const maxPlainSnapshotBytes = 65_536;
/** Above 16 KiB a send takes uWebSockets.js' slower path, so batched chunks stay below. */
export const maxChunkBytes = 16_384;

/** Echoed in exactly one reply. */
export const messageId = z.union([z.number(), z.string().max(maxIdLength)]);
export type MessageId = z.infer<typeof messageId>;

const topic = z.string().refine((text) => parseTopic(text) !== undefined);
const longitude = z.number().min(-180).max(180);
const latitude = z.number().min(-90).max(90);

/** `[west, south, east, north]` in degrees. West may be above east: the box then crosses the antimeridian. */
export const bbox = z
  .tuple([longitude, latitude, longitude, latitude])
  .refine(([, south, , north]) => south <= north)
  .readonly();
export type Bbox = z.infer<typeof bbox>;

const maxHz = z.number().min(leastMaxHz).max(mostMaxHz);

const subscribe = z
  .object({
    type: z.literal('subscribe'),
    id: messageId.optional(),
    topic,
    maxHz: maxHz.optional(),
    bbox: bbox.optional(),
    cursor: z.string().optional(),
    epoch: z.string().optional(),
  })
  .readonly();
const update = z
  .object({
    type: z.literal('update'),
    id: messageId.optional(),
    topic,
    maxHz: maxHz.optional(),
    /** null shows the whole event again. */
    bbox: bbox.nullable().optional(),
  })
  .readonly();
const unsubscribe = z.object({ type: z.literal('unsubscribe'), id: messageId.optional(), topic }).readonly();
const ping = z.object({ type: z.literal('ping'), id: messageId.optional() }).readonly();

/** What a client may say, in either dialect. Unknown fields are dropped. */
export const clientMessage = z.discriminatedUnion('type', [subscribe, update, unsubscribe, ping]);
export type ClientMessage = z.infer<typeof clientMessage>;

const deviceId = z.string();
const epochMs = z.number();
const count = z.int().min(0);

/** One position in the plain dialect; 0 is sent as 0, and what is unknown is left out. */
const plainPositionFields = {
  /** The IMEI. */
  deviceId,
  lat: latitude,
  lon: longitude,
  /** The fix time. */
  ts: epochMs,
  speed: z.number().optional(),
  course: z.number().optional(),
  altitude: z.number().optional(),
};
export const plainPosition = z.object(plainPositionFields).readonly();
export type PlainPosition = z.infer<typeof plainPosition>;

/** One position in the batched dialect, in the order of `columns`; `deviceId` is `devices.id`, and null is unknown. */
export const row = z
  .tuple([
    deviceId,
    longitude,
    latitude,
    epochMs,
    z.number().nullable(),
    z.number().nullable(),
    z.number().nullable(),
  ])
  .readonly();
export type Row = z.infer<typeof row>;

export const errorCode = z.enum([
  'bad-message',
  'unknown-type',
  'unknown-topic',
  'forbidden',
  'not-subscribed',
  'already-subscribed',
  'too-many-subscriptions',
  'rate-limited',
  'bad-bbox',
  'unavailable',
  'draining',
  'internal',
]);
export type ErrorCode = z.infer<typeof errorCode>;

const temporaryErrors: ReadonlySet<ErrorCode> = new Set([
  'rate-limited',
  'unavailable',
  'draining',
  'internal',
]);

/** Whether the same message may succeed later: the `temporary` of an `error`. */
export function isTemporaryError(code: ErrorCode): boolean {
  return temporaryErrors.has(code);
}

const unsubscribed = z
  .object({
    type: z.literal('unsubscribed'),
    topic,
    id: messageId.optional(),
    /** `forbidden` where a later check withdrew the subscription; none where the client asked. */
    reason: z.string().optional(),
  })
  .readonly();
const updated = z.object({ type: z.literal('updated'), topic, id: messageId.optional() }).readonly();
const resync = z.object({ type: z.literal('resync'), topic }).readonly();
const reconnect = z.object({ type: z.literal('reconnect'), afterMs: count }).readonly();
const heartbeat = z
  .object({ type: z.literal('heartbeat'), time: epochMs, cursor: z.string().optional() })
  .readonly();
const pong = z.object({ type: z.literal('pong'), id: messageId.optional() }).readonly();
const error = z
  .object({
    type: z.literal('error'),
    id: messageId.optional(),
    code: errorCode,
    message: z.string(),
    temporary: z.boolean(),
    retryAfterMs: count.optional(),
  })
  .readonly();

const plainSubscribed = z
  .object({
    type: z.literal('subscribed'),
    topic,
    id: messageId.optional(),
    snapshot: z.array(plainPosition).readonly(),
    /** The database failed, so positions may be missing that come later. */
    degraded: z.literal(true).optional(),
  })
  .readonly();
const position = z.object({ type: z.literal('position'), topic, ...plainPositionFields }).readonly();

const hello = z
  .object({
    type: z.literal('hello'),
    protocol: z.literal(subprotocol),
    connection: z.string(),
    time: epochMs,
    tickMs: count,
    columns: z.array(z.string()).readonly(),
    limits: z.record(z.string(), z.number()).readonly(),
  })
  .readonly();
const batchedSubscribed = z
  .object({
    type: z.literal('subscribed'),
    topic,
    id: messageId.optional(),
    epoch: z.string(),
    /** Whether the client's cursor was taken up; else a full snapshot follows. */
    recovered: z.boolean(),
    /** How many the event has. */
    devices: count,
    degraded: z.literal(true).optional(),
  })
  .readonly();
const snapshot = z
  .object({
    type: z.literal('snapshot'),
    topic,
    /** 0 replaces what the client held. */
    part: count,
    rows: z.array(row).readonly(),
    last: z.literal(true).optional(),
    /** In the last part. */
    cursor: z.string().optional(),
  })
  .readonly();
const positions = z
  .object({
    type: z.literal('positions'),
    topic,
    /** In the last frame of a flush. */
    cursor: z.string().optional(),
    rows: z.array(row).readonly(),
  })
  .readonly();
const devices = z
  .object({
    type: z.literal('devices'),
    topic,
    added: z.array(deviceId).readonly(),
    removed: z.array(deviceId).readonly(),
  })
  .readonly();
const hidden = z
  .object({ type: z.literal('hidden'), topic, devices: z.array(deviceId).readonly() })
  .readonly();

const inBothDialects = [unsubscribed, updated, resync, reconnect, heartbeat, pong, error] as const;

/** What a server says to a client that asked for no subprotocol. */
export const plainServerMessage = z.discriminatedUnion('type', [
  plainSubscribed,
  position,
  ...inBothDialects,
]);
export type PlainServerMessage = z.infer<typeof plainServerMessage>;

/** What a server says to a client that asked for `live.v1`. */
export const batchedServerMessage = z.discriminatedUnion('type', [
  hello,
  batchedSubscribed,
  snapshot,
  positions,
  devices,
  hidden,
  ...inBothDialects,
]);
export type BatchedServerMessage = z.infer<typeof batchedServerMessage>;

/** Both dialects in one. A client ignores a type that is not here. */
export const serverMessage = z.union([plainServerMessage, batchedServerMessage]);
export type ServerMessage = z.infer<typeof serverMessage>;

/** Why a server closes a connection. 4000..4099: come back; 4400..4499: stop. */
export const closeCode = {
  goingAway: 1001,
  restart: 1012,
  overload: 1013,
  /** Maximum age, rebalance. */
  reconnect: 4000,
  /** Refresh the session over HTTP, reconnect once. */
  sessionInvalid: 4001,
  /** Often seen as 1006: a client over its backpressure limit never gets the close frame. */
  tooSlow: 4002,
  noSignOfLife: 4003,
  /** Come back after 5 s or more. */
  tooManyMessages: 4005,
  brokeProtocol: 4400,
  /** This user opened too many others: the oldest is closed. */
  tooManyConnections: 4403,
} as const;
export type CloseCode = (typeof closeCode)[keyof typeof closeCode];
