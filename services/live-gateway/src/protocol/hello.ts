import { columns, maxMessageBytes, subprotocol } from '@app/shared/protocol';
import type { Client, ClientLimits } from '../connection/client.ts';
import { encodeReply } from './replies.ts';

/** The first message to a client of the batched dialect. */
export function helloReply(
  { connection, handover }: Client,
  limits: ClientLimits,
  tickMs: number,
  nowMs: number,
): string {
  return encodeReply({
    type: 'hello',
    protocol: subprotocol,
    // Identifies the connection in captures and in a request for a ticket.
    connection: connection.id,
    ...(handover === 'ticket' && { tickets: true }),
    ...(handover === 'token' && { tokens: true }),
    time: nowMs,
    tickMs,
    columns,
    limits: {
      messageBytes: maxMessageBytes,
      messagesPerS: limits.messageRatePerS,
      subscriptions: limits.maxSubscriptions,
    },
  });
}
