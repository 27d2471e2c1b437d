import { setImmediate as letOthersRun } from 'node:timers/promises';
import { delay } from '@app/runtime/retry';
import { closeReasons } from './close-reasons.ts';
import type { Connection } from './connection.ts';

export interface SweepLimits {
  readonly pingIntervalMs: number;
  /** A client that is behind, and has left a ping unanswered for so long, is cut. */
  readonly lagLimitMs: number;
  /** A client that is connected for longer is asked to come again; 0 asks nobody. */
  readonly maxAgeMs: number;
  /** A client that was sent nothing for so long is told that the server lives. */
  readonly heartbeatMs: number;
}

const sweepIntervalMs = 1_000;

/**
 * Pings whoever is due, closes whoever gives no sign of life or lags for too long.
 *
 * The server pings, not uWebSockets.js' `idleTimeout`: that one counts what the server sends as life, so a client that
 * went away behind a proxy would be fed for minutes.
 *
 * @param random a number in [0, 1).
 * @returns how many lag now.
 */
export function sweepConnections(
  connections: Iterable<Connection>,
  nowMs: number,
  limits: SweepLimits,
  random: () => number = Math.random,
): number {
  const { maxAgeMs } = limits;
  // Those who came in one storm must not go in one, so each sweep takes some of the old: over a tenth of the age.
  const oldShare = (10 * sweepIntervalMs) / maxAgeMs;
  let lagging = 0;
  // A copy: `end` calls the close handler synchronously, which takes the connection out of the set.
  for (const connection of Array.from(connections)) {
    const { laggingSinceMs: behindSinceMs } = connection;
    if (nowMs - connection.lastActivityAtMs > 2.5 * limits.pingIntervalMs) {
      connection.end(closeReasons.pingTimeout);
    } else if (behindSinceMs !== undefined && nowMs - behindSinceMs > limits.lagLimitMs) {
      connection.end(closeReasons.laggingTooLong);
    } else if (maxAgeMs > 0 && nowMs - connection.openedAtMs > maxAgeMs && random() < oldShare) {
      connection.end(closeReasons.maxAge);
    } else {
      if (behindSinceMs !== undefined) lagging += 1;
      if (nowMs - connection.sentAtMs >= limits.heartbeatMs) connection.onIdle();
      if (connection.isPingDue(nowMs, limits.pingIntervalMs)) connection.ping();
    }
  }
  return lagging;
}

/** Connections swept before others get a turn: where an event falls silent, all its viewers are due at once. */
const slice = 500;

/** Sweeps once a second until the signal; rejects with its reason. */
export async function runSweepLoop(options: {
  readonly connections: () => Iterable<Connection>;
  readonly limits: SweepLimits;
  readonly nowMs: () => number;
  readonly onLagging: (connections: number) => void;
  readonly signal: AbortSignal;
}): Promise<never> {
  const { connections, limits, nowMs, onLagging, signal } = options;
  for (;;) {
    const all = Array.from(connections());
    let lagging = 0;
    for (let at = 0; at < all.length; at += slice) {
      lagging += sweepConnections(all.slice(at, at + slice), nowMs(), limits);
      await letOthersRun();
    }
    onLagging(lagging);
    await delay(sweepIntervalMs, signal);
  }
}
