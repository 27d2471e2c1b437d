import { randomUUID } from 'node:crypto';
import { columns, maxMessageBytes, subprotocol } from '@app/shared/protocol';
import type { ClientLimits } from '../connection/client.ts';
import { encodeReply } from './replies.ts';

/** What a client of the batched dialect hears first of all. */
export function helloReply(limits: ClientLimits, tickMs: number, nowMs: number): string {
  return encodeReply({
    type: 'hello',
    protocol: subprotocol,
    // Of no meaning, but for whoever looks for one connection among many.
    connection: randomUUID(),
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
