import { setImmediate as letOthersRun, setTimeout as wait } from 'node:timers/promises';
import { closeCode } from '@app/shared/protocol';
import type { Connection } from './connection.ts';

/** When a connection is closed, counted from the beginning, and how much later its client is asked to be back. */
export interface CloseSchedule<T> {
  readonly who: T;
  readonly closeAtMs: number;
  readonly backAfterMs: number;
}

/** Enough to take the edge off what closes within one moment; the rest of the spreading is the window's. */
const maxBackAfterMs = 1_000;
const maxStepMs = 100;
/** Connections closed before others get a turn. */
const slice = 200;

/**
 * Spreads the departures evenly over the window, in an order of their own: neighbours in the set came together, often
 * from the same proxy or the last gateway that went, and would arrive together.
 *
 * @param random a number in [0, 1).
 */
export function scheduleCloses<T>(
  all: Iterable<T>,
  windowMs: number,
  random: () => number,
): readonly CloseSchedule<T>[] {
  const shuffled = Array.from(all, (who) => ({ who, order: random() })).toSorted((a, b) => a.order - b.order);
  return shuffled.map(({ who }, at) => ({
    who,
    closeAtMs: (windowMs * at) / shuffled.length,
    backAfterMs: Math.floor(random() * Math.min(windowMs, maxBackAfterMs)),
  }));
}

/**
 * Sends everyone away who is there, spread over the window: each is told when to come back, and closed with the code
 * that says "come back". Closed all at once, they would be back all at once, at gateways that were not ready for them.
 * Ends early if everybody has left. Whoever comes meanwhile is not its business.
 */
export async function closeGracefully(
  connections: Iterable<Connection>,
  options: {
    readonly windowMs: number;
    /** The message that says so. */
    readonly farewell: (backAfterMs: number) => string;
  },
): Promise<void> {
  const { windowMs, farewell } = options;
  const startedAtMs = performance.now();
  const departures = scheduleCloses(connections, windowMs, Math.random);
  for (const [at, { who, closeAtMs, backAfterMs }] of departures.entries()) {
    // In steps: if they all leave meanwhile there is nothing more to wait for.
    for (;;) {
      const waitMs = startedAtMs + closeAtMs - performance.now();
      if (!who.isOpen || waitMs <= 0) break;
      await wait(Math.min(waitMs, maxStepMs));
    }
    who.reply(farewell(backAfterMs));
    who.end(closeCode.restart, 'the server restarts');
    if (at % slice === slice - 1) await letOthersRun();
  }
}
