import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { delay } from '@app/runtime/retry';
import { guardClient } from './client-errors.ts';
import { closeReasons } from './close-reasons.ts';
import type { Connection } from './connection.ts';

export interface SweepLimits {
  readonly pingIntervalMs: number;
  /** Maximum time a client may lag. */
  readonly lagLimitMs: number;
  /** Age from which a connection is closed, at a random time, on average a tenth of it later; 0 for no limit. */
  readonly maxAgeMs: number;
  /** Time without a frame after which a heartbeat is sent. */
  readonly heartbeatMs: number;
}

const sweepIntervalMs = 1_000;
/** Ping intervals without anything from the client after which it counts as gone: two pings may get lost. */
const pingTimeoutIntervals = 2.5;
/** A connection above the maximum age stays on average this share of the age longer. */
const expiryShare = 0.1;

/**
 * Closes connections that have timed out, lag for too long or are too old; pings the others when due.
 *
 * uWebSockets.js' `idleTimeout` cannot replace the pings: it counts sent bytes as activity, so a client that vanished
 * behind a proxy would stay connected for minutes.
 *
 * @param random a number in [0, 1).
 * @returns the number of lagging connections.
 */
export function sweepConnections(
  connections: Iterable<Connection>,
  nowMs: number,
  limits: SweepLimits,
  random: () => number = Math.random,
): number {
  const { maxAgeMs } = limits;
  // Clients that connected together must not reconnect together. Each sweep closes a random share of the connections
  // above the age, so that a connection is closed a tenth of the age later on average.
  const expiringShare = sweepIntervalMs / (expiryShare * maxAgeMs);
  let lagging = 0;
  const sweepOne = (connection: Connection): void => {
    const { laggingSinceMs } = connection;
    if (nowMs - connection.lastActivityAtMs > pingTimeoutIntervals * limits.pingIntervalMs) {
      connection.end(closeReasons.pingTimeout);
    } else if (laggingSinceMs !== undefined && nowMs - laggingSinceMs > limits.lagLimitMs) {
      connection.end(closeReasons.laggingTooLong);
    } else if (maxAgeMs > 0 && nowMs - connection.openedAtMs > maxAgeMs && random() < expiringShare) {
      connection.end(closeReasons.maxAge);
    } else {
      if (laggingSinceMs !== undefined) lagging += 1;
      if (nowMs - connection.sentAtMs >= limits.heartbeatMs) connection.onIdle();
      if (connection.isPingDue(nowMs, limits.pingIntervalMs)) connection.ping();
    }
  };
  // A copy: `end` calls the close handler synchronously, which removes the connection from the set.
  for (const connection of Array.from(connections)) {
    guardClient(connection, 'sweep', () => sweepOne(connection));
  }
  return lagging;
}

/** Connections swept before yielding: when an event stops sending, all its viewers are due for a ping at once. */
const sliceSize = 500;

/** Sweeps every second until the signal aborts; rejects with its reason. */
export async function runSweepLoop(options: {
  readonly connections: () => Iterable<Connection>;
  readonly limits: SweepLimits;
  /** The run clock. */
  readonly nowMs: () => number;
  readonly onLagging: (connections: number) => void;
  readonly signal: AbortSignal;
}): Promise<never> {
  const { connections, limits, nowMs, onLagging, signal } = options;
  for (;;) {
    // Reads first what has arrived: after a stop of the process, or a long task, timers run before sockets are read.
    await yieldToEventLoop();
    const all = Array.from(connections());
    let lagging = 0;
    for (let at = 0; at < all.length; at += sliceSize) {
      lagging += sweepConnections(all.slice(at, at + sliceSize), nowMs(), limits);
      await yieldToEventLoop();
    }
    onLagging(lagging);
    await delay(sweepIntervalMs, signal);
  }
}
