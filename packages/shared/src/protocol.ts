// The names and bounds of the live protocol, apart from its schemas: a client that counts its bytes needs these
// without a validator.

/** The `Sec-WebSocket-Protocol` of the batched dialect. Who asks for none gets the plain one. */
export const subprotocol = 'live.v1';

/** The order of a row's cells in the batched dialect. */
export const columns = ['deviceId', 'lon', 'lat', 'ts', 'speed', 'course', 'altitude'] as const;

/** The longest message of a client, in bytes of UTF-8. */
export const maxMessageBytes = 4096;
/** The longest text that a client may choose as an `id`. */
export const maxIdLength = 64;
/** What a client may ask for as `maxHz`; it gets the highest rate class not above it. */
export const lowestMaxHz = 0.5;
export const highestMaxHz = 20;
/** The longest `subscribed` frame of the plain dialect; positions that do not fit follow one by one. */
export const maxSnapshotFrameBytes = 65_536;
/** Frames of rows stay below this: above 16 KiB uWebSockets.js sends on a slower path. */
export const maxChunkBytes = 16_384;

export const errorCodes = [
  'bad-message',
  'unknown-type',
  'unknown-topic',
  /** Also where the event does not exist: Directus answers 403 to both. */
  'forbidden',
  'not-subscribed',
  'already-subscribed',
  'too-many-subscriptions',
  'rate-limited',
  'bad-bbox',
  /** Directus does not answer. */
  'unavailable',
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

/** The `temporary` of an `error`: whether the same message may succeed later. */
export function isTemporaryError(code: ErrorCode): boolean {
  return temporaryErrors.has(code);
}

/** What a server closes a connection with. */
export const closeCode = {
  goingAway: 1001,
  restart: 1012,
  overload: 1013,
  /** Asked to come again: maximum age, rebalance. */
  reconnect: 4000,
  /** The session is no longer valid: refresh it over HTTP, reconnect once. */
  sessionInvalid: 4001,
  /** Too slow for too long. Often seen as 1006: over its backpressure limit a client never gets the close frame. */
  tooSlow: 4002,
  noSignOfLife: 4003,
  /** Come back after 5 s or more. */
  tooManyMessages: 4005,
  brokeProtocol: 4400,
  /** This user opened too many others: the oldest is closed. */
  tooManyConnections: 4403,
} as const;
export type CloseCode = (typeof closeCode)[keyof typeof closeCode];

/**
 * Whether a client comes back after a close. 4400..4499 say stop, and so does 1000, an end that was asked for;
 * everything else is worth another try, 1006 (no close frame was seen) above all. 4001 and 4005 have conditions of
 * their own, see `closeCode`.
 */
export function shouldReconnect(code: number): boolean {
  return code !== 1000 && !(code >= 4400 && code <= 4499);
}
