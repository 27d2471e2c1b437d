import { setImmediate as yieldToEventLoop, setTimeout as wait } from 'node:timers/promises';
import { guardClient } from './client-errors.ts';
import { closeReasons } from './close-reasons.ts';
import type { Connection } from './connection.ts';

/** When to close a connection, from the start of the shutdown, and the reconnect delay to send to its client. */
export interface CloseSchedule<T> {
  readonly connection: T;
  readonly closeAtMs: number;
  readonly reconnectAfterMs: number;
}

/** Spreads the reconnects of connections that close at the same moment; the window does the rest. */
const maxReconnectAfterMs = 1_000;
const maxWaitStepMs = 100;
/** Connections closed before yielding to the event loop. */
const sliceSize = 200;

/**
 * Spreads the closes evenly over the window in random order. Neighbours in the set connected together, often through
 * the same proxy, and in set order would reconnect together.
 *
 * @param random a number in [0, 1).
 */
export function scheduleCloses<T>(
  connections: Iterable<T>,
  windowMs: number,
  random: () => number,
): readonly CloseSchedule<T>[] {
  const shuffled = Array.from(connections, (connection) => ({ connection, order: random() })).toSorted(
    (a, b) => a.order - b.order,
  );
  return shuffled.map(({ connection }, at) => ({
    connection,
    closeAtMs: (windowMs * at) / shuffled.length,
    reconnectAfterMs: Math.floor(random() * Math.min(windowMs, maxReconnectAfterMs)),
  }));
}

/**
 * Closes these connections over the window, each after a message with its reconnect delay. Closed all at once, they
 * would all reconnect at once, to gateways without the capacity for them.
 *
 * Resolves early if all connections have closed. Connections opened meanwhile are not closed.
 */
export async function closeGracefully(
  connections: Iterable<Connection>,
  options: {
    readonly windowMs: number;
    readonly reconnectMessage: (afterMs: number) => string;
    /** The run clock: after a stop of the process the schedule continues, and nobody is closed early. */
    readonly nowMs: () => number;
  },
): Promise<void> {
  const { windowMs, reconnectMessage, nowMs } = options;
  const startedAtMs = nowMs();
  const schedule = scheduleCloses(connections, windowMs, Math.random);
  for (const [at, { connection, closeAtMs, reconnectAfterMs }] of schedule.entries()) {
    // In steps, to notice when the remaining connections close on their own.
    for (;;) {
      const waitMs = startedAtMs + closeAtMs - nowMs();
      if (!connection.isOpen || waitMs <= 0) break;
      await wait(Math.min(waitMs, maxWaitStepMs));
    }
    guardClient(connection, 'drain', () => {
      connection.reply(reconnectMessage(reconnectAfterMs));
      connection.end(closeReasons.restart);
    });
    if (at % sliceSize === sliceSize - 1) await yieldToEventLoop();
  }
}
