// Constants of the live protocol, separate from its schemas so that a small client bundle does not include zod.

/** `Sec-WebSocket-Protocol` of the batched dialect. A client that requests none gets the plain dialect. */
export const subprotocol = 'live.v1';

/** Order of a row's values in the batched dialect. */
export const columns = ['deviceId', 'lon', 'lat', 'ts', 'speed', 'course', 'altitude'] as const;

/** Longest client message, in bytes of UTF-8. */
export const maxMessageBytes = 4096;
/** Longest `id` that a client may choose, in characters. */
export const maxIdLength = 64;
/** Range of a client's `maxHz`; it gets the highest rate class not above it. */
export const lowestMaxHz = 0.5;
export const highestMaxHz = 20;
/** Longest `subscribed` frame of the plain dialect; positions that do not fit are sent one by one after it. */
export const maxSnapshotFrameBytes = 65_536;
/** Longest frame of rows: above 16 KiB uWebSockets.js takes a slower path. */
export const maxChunkBytes = 16_384;

/**
 * Layout of a deflated frame, a binary one: its kind (1 byte), the number of a dictionary (4 bytes, big-endian), and raw
 * DEFLATE. A dictionary is deflated without one; a message is text of the batched dialect.
 */
export const deflatedFrame = { dictionaryKind: 0, messageKind: 1, numberAt: 1, dataAt: 5 } as const;

export const errorCodes = [
  'bad-message',
  'unknown-type',
  'unknown-topic',
  /** Also if the event does not exist: Directus answers 403 in both cases. */
  'forbidden',
  'not-subscribed',
  'already-subscribed',
  'too-many-subscriptions',
  'rate-limited',
  'bad-bbox',
  /** A ticket that is not valid here, or its session is not valid or of another user. */
  'bad-session',
  /** Directus does not respond, or the gateway is behind the cursor of the client. */
  'unavailable',
  /** No gateway sends these two; clients accept them. */
  'draining',
  'internal',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

const temporaryErrors: ReadonlySet<ErrorCode> = new Set([
  'rate-limited',
  'unavailable',
  'draining',
  'internal',
]);

/** The `temporary` field of an `error`: whether the same message may succeed later. */
export function isTemporaryError(code: ErrorCode): boolean {
  return temporaryErrors.has(code);
}

/** Close codes that a gateway sends. */
export const closeCode = {
  /** An unexpected error while the gateway served this client. */
  internalError: 1011,
  restart: 1012,
  tryAgainLater: 1013,
  /** Reconnect: the connection has reached its maximum age. */
  reconnect: 4000,
  /** The session is no longer valid: refresh it over HTTP and reconnect once. */
  sessionInvalid: 4001,
  /** Lagged for too long. Often seen as 1006, because a client over its backpressure limit never gets the close frame. */
  tooSlow: 4002,
  pingTimeout: 4003,
  /** Reconnect after 5 s or more. */
  tooManyMessages: 4005,
  protocolViolation: 4400,
  /** The user has too many connections; the oldest is closed. */
  tooManyConnections: 4403,
} as const;
export type CloseCode = (typeof closeCode)[keyof typeof closeCode];

/**
 * Whether a client should reconnect after a close code: all except 1000 (normal closure) and 4400..4499. `closeCode` gives
 * the conditions for 4001 and 4005.
 */
export function shouldReconnect(code: number): boolean {
  return code !== 1000 && !(code >= 4400 && code <= 4499);
}
