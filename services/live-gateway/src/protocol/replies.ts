import { isTemporaryError } from '@app/shared/protocol';
import type { MessageId, ServerMessage } from '@app/shared/messages';
import type { ErrorCode } from '@app/shared/protocol';

/** The frame of a message; undefined fields are left out. */
export function encodeReply(message: ServerMessage): string {
  return JSON.stringify(message);
}

export function errorReply(
  id: MessageId | undefined,
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
): string {
  return encodeReply({ type: 'error', id, code, message, temporary: isTemporaryError(code), retryAfterMs });
}

export function pongReply(id: MessageId | undefined): string {
  return encodeReply({ type: 'pong', id });
}

/** @param reason why the subscription ended, if the client did not ask for it. */
export function unsubscribedReply(id: MessageId | undefined, topic: string, reason?: 'forbidden'): string {
  return encodeReply({ type: 'unsubscribed', topic, id, reason });
}

/** The session has ended; without another one the connection is closed after the delay. */
export function sessionEndedReply(afterMs: number): string {
  return encodeReply({ type: 'session-ended', afterMs });
}

/** The server is closing the connection; the client reconnects after the delay. */
export function reconnectReply(afterMs: number): string {
  return encodeReply({ type: 'reconnect', afterMs });
}
