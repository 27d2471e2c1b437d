import { guardClient } from './client-errors.ts';
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
  const client = new Client(connection, limits, context.clock.stoppedMs);
  guardClient(connection, 'open', () => {
    clients.add(client);
    if (connection.isBatched) connection.reply(helloReply(client, limits, context.tickMs, context.nowMs()));
  });
  connection.onIdle = () => connection.reply(heartbeatReply(client, context.registry, context.nowMs()));
  return {
    onMessage: (frame) => {
      handleMessage(client, frame, context).catch((error: unknown) => connection.fail('receive', error));
    },
    onClosed: () => {
      clients.remove(client);
      for (const { registration } of client.subscriptions.releaseAll()) {
        guardClient(connection, 'close', () => registration?.unregister());
      }
    },
  };
}
