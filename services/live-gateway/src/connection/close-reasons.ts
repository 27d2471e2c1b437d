import { closeCode, maxMessageBytes } from '@app/shared/protocol';
import type { CloseCode } from '@app/shared/protocol';

/** The code and the reason of a close frame. */
export interface CloseReason {
  readonly code: CloseCode;
  readonly reason: string;
}

/** Every reason for which the gateway closes a connection. */
export const closeReasons = {
  /** Shutdown: the client has been sent its reconnect delay. */
  restart: { code: closeCode.restart, reason: 'server restarting' },
  /** An unexpected error while the gateway served this client. */
  internalError: { code: closeCode.internalError, reason: 'internal error' },
  /** Directus could not confirm a permission within `REAUTHORIZE_GRACE_MS`. */
  permissionUnconfirmed: { code: closeCode.tryAgainLater, reason: 'permission could not be confirmed' },
  /** Open for longer than `LIVE_MAX_CONNECTION_AGE_MS`. */
  maxAge: { code: closeCode.reconnect, reason: 'maximum connection age reached' },
  /** Directus rejects the session, or the user is suspended. */
  sessionInvalid: { code: closeCode.sessionInvalid, reason: 'session no longer valid' },
  /** Lagging for longer than `LIVE_LAG_LIMIT_MS`. */
  laggingTooLong: { code: closeCode.tooSlow, reason: 'lagging for too long' },
  /** A lagging client has the maximum number of queued replies. */
  tooManyQueuedReplies: { code: closeCode.tooSlow, reason: 'too many unread replies' },
  /** uWebSockets.js dropped a frame, so the client's state is incomplete and the client cannot detect it. */
  frameDropped: { code: closeCode.tooSlow, reason: 'frame dropped' },
  /** Nothing received for 2.5 ping intervals. */
  pingTimeout: { code: closeCode.pingTimeout, reason: 'ping timeout' },
  /** The client kept sending after `rate-limited` errors. */
  tooManyMessages: { code: closeCode.tooManyMessages, reason: 'too many messages' },
  binaryMessage: { code: closeCode.protocolViolation, reason: 'messages must be text' },
  messageTooLong: { code: closeCode.protocolViolation, reason: `message exceeds ${maxMessageBytes} bytes` },
  /** The user has opened more than `LIVE_MAX_CONNECTIONS_PER_USER`: the oldest connection is closed. */
  tooManyConnections: { code: closeCode.tooManyConnections, reason: 'too many connections of this user' },
  /** More than `LIVE_ANONYMOUS_PER_ADDRESS` viewers without a login from one address: the new one is closed. */
  tooManyFromAddress: { code: closeCode.tryAgainLater, reason: 'too many connections from this address' },
} as const satisfies Record<string, CloseReason>;
