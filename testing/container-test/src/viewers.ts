import assert from 'node:assert/strict';
import type { LiveClient, LivePosition } from '@app/live-client';
import { eventTopic } from '@app/shared/topics';
import { logIn } from '@app/spectator/log-in';
import { watchEvent } from '@app/spectator/watch-event';
import { eventually } from '@app/test-kit/eventually';
import { seededEventId } from '@app/fleet-sim/seed-sql';
import { admin, type Stack } from './stack.ts';

const liveTimeoutMs = 120_000;

/** Clients that watch the seeded event through nginx and reconnect when a gateway closes them. */
export class Viewers implements Disposable {
  readonly #clients: readonly LiveClient[];

  private constructor(clients: readonly LiveClient[]) {
    this.#clients = clients;
  }

  static async connect(stack: Stack, count: number): Promise<Viewers> {
    using opening = new DisposableStack();
    const clients: LiveClient[] = [];
    for (let index = 0; index < count; index += 1) {
      const client = watchEvent({
        directusUrl: stack.httpUrl,
        liveUrl: stack.liveUrl,
        topics: [eventTopic(seededEventId)],
        cookie: await logIn(stack.httpUrl, admin),
      });
      clients.push(opening.use(client));
    }
    const viewers = new Viewers(clients);
    await viewers.untilLive();
    // The caller closes them now. If they fail to connect they must be closed here: they would retry forever.
    opening.move();
    return viewers;
  }

  async untilLive(): Promise<void> {
    await eventually(
      () => {
        assert.deepEqual(
          this.#clients.map(({ state }) => state),
          this.#clients.map(() => 'live'),
        );
        return true;
      },
      { timeoutMs: liveTimeoutMs, intervalMs: 50 },
    );
  }

  /** Waits until each has received a newer fix than any that it holds now. */
  async untilAllMoved(): Promise<void> {
    const before = this.held().map(newestMs);
    await eventually(() => this.held().every((held, index) => newestMs(held) > (before[index] ?? 0)), {
      timeoutMs: liveTimeoutMs,
      intervalMs: 50,
    });
  }

  /** Positions that each client holds, by device id. */
  held(): readonly ReadonlyMap<string, LivePosition>[] {
    return this.#clients.map(({ positions }) => positions.get(eventTopic(seededEventId)) ?? new Map());
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
  }
}

function newestMs(held: ReadonlyMap<string, LivePosition>): number {
  return [...held.values()].reduce((newest, { ts }) => Math.max(newest, ts), 0);
}
