import { setTimeout as wait } from 'node:timers/promises';
import { closeGracefully } from '../connection/close-gracefully.ts';
import type { Connection } from '../connection/connection.ts';
import { reconnectReply } from '../protocol/replies.ts';
import type { LiveServer } from './listen.ts';
import type { Readiness } from './readiness.ts';

/**
 * Takes the gateway out of the load balancer, then closes its connections over `windowMs`. They are served until closed.
 *
 * A balancer notices late that a gateway is not ready. For `noticeMs` the gateway keeps listening and refuses upgrades
 * with a 503, which a proxy retries elsewhere; a closed port would fail the client.
 */
export async function drain(options: {
  readonly readiness: Readiness;
  readonly server: LiveServer;
  readonly connections: () => Iterable<Connection>;
  readonly noticeMs: number;
  readonly windowMs: number;
  /** The run clock. */
  readonly nowMs: () => number;
}): Promise<void> {
  const { readiness, server, connections, noticeMs, windowMs, nowMs } = options;
  readiness.drain();
  await wait(noticeMs);
  server.stopListening();
  await closeGracefully(connections(), { windowMs, reconnectMessage: reconnectReply, nowMs });
  // Connections whose upgrade was in progress when the schedule was made.
  await closeGracefully(connections(), { windowMs: 0, reconnectMessage: reconnectReply, nowMs });
}
