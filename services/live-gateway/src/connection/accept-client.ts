import type { Connection } from './connection.ts';
import type { ClientHandlers } from './socket-handlers.ts';
import { Client } from './client.ts';
import type { ClientLimits } from './client.ts';
import type { Clients } from './clients.ts';
import { handleMessage } from './handle-message.ts';
import type { MessageContext } from './handle-message.ts';
import { heartbeatReply } from '../subscriptions/heartbeat.ts';
import { helloReply } from '../protocol/hello.ts';

/** Registers a client, answers its messages, and removes its subscriptions when it disconnects. */
export function acceptClient(
  connection: Connection,
  clients: Clients,
  limits: ClientLimits,
  context: MessageContext,
): ClientHandlers {
  const client = new Client(connection, limits);
  clients.add(client);
  if (connection.isBatched) connection.reply(helloReply(limits, context.tickMs, context.nowMs()));
  connection.onIdle = () => connection.reply(heartbeatReply(client, context.registry, context.nowMs()));
  return {
    // Not caught: a rejection is a bug and ends the process.
    onMessage: (frame) => void handleMessage(client, frame, context),
    onClosed: () => {
      clients.remove(client);
      for (const { subscription } of client.subscriptions.releaseAll()) {
        if (subscription !== undefined) context.registry.unregister(subscription);
      }
    },
  };
}
