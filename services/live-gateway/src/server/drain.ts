import { setTimeout as wait } from 'node:timers/promises';
import { closeGracefully } from '../connection/close-gracefully.ts';
import type { Connection } from '../connection/connection.ts';
import { reconnectReply } from '../protocol/replies.ts';
import type { LiveServer } from './listen.ts';
import type { Readiness } from './readiness.ts';

/**
 * Leaves the balancer and then its clients, who are served all the while.
 *
 * Balancers learn late that a gateway is not ready any more, so for `noticeMs` it goes on listening: whoever is sent
 * here is refused with a 503, which a proxy can take elsewhere, instead of finding nobody. Then nobody can come in any
 * more, not over a connection kept alive either, and those who are here are sent away, spread over `windowMs`.
 */
export async function drain(options: {
  readonly readiness: Readiness;
  readonly server: LiveServer;
  readonly connections: () => Iterable<Connection>;
  readonly noticeMs: number;
  readonly windowMs: number;
}): Promise<void> {
  const { readiness, server, connections, noticeMs, windowMs } = options;
  readiness.drain();
  await wait(noticeMs);
  server.stopListening();
  await closeGracefully(connections(), { windowMs, reconnectMessage: reconnectReply });
  // Those whose upgrade was under way when the others were counted.
  await closeGracefully(connections(), { windowMs: 0, reconnectMessage: reconnectReply });
}
