import { isTemporaryError } from '@app/shared/protocol';
import type { MessageId, ServerMessage } from '@app/shared/messages';
import type { ErrorCode } from '@app/shared/protocol';

/** A reply as it goes over the wire; what is undefined is left out. */
export function encodeReply(message: ServerMessage): string {
  return JSON.stringify(message);
}

export function errorReply(
  id: MessageId | undefined,
  code: ErrorCode,
  message: string,
  retryAfterMs?: number,
): string {
  return encodeReply({
    type: 'error',
    ...(id !== undefined && { id }),
    code,
    message,
    temporary: isTemporaryError(code),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

export function pongReply(id: MessageId | undefined): string {
  return encodeReply({ type: 'pong', ...(id !== undefined && { id }) });
}

/** @param reason why, where the client has not asked for it. */
export function unsubscribedReply(id: MessageId | undefined, topic: string, reason?: 'forbidden'): string {
  return encodeReply({
    type: 'unsubscribed',
    topic,
    ...(id !== undefined && { id }),
    ...(reason !== undefined && { reason }),
  });
}

/** The server goes away; come back after so long. */
export function reconnectReply(afterMs: number): string {
  return encodeReply({ type: 'reconnect', afterMs });
}
