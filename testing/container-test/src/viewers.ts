import assert from 'node:assert/strict';
import type { LiveClient, LivePosition } from '@app/live-client';
import { eventTopic } from '@app/shared/topics';
import { watchEvent } from '@app/spectator/watch-event';
import { eventually } from '@app/test-kit/eventually';
import { seededEventId } from './seeded-event.ts';
import { admin, type Stack } from './stack.ts';

const liveLimitMs = 120_000;

/** People who watch the seeded event through nginx. They come back by themselves when a gateway leaves them. */
export class Viewers implements Disposable {
  readonly #clients: readonly LiveClient[];

  private constructor(clients: readonly LiveClient[]) {
    this.#clients = clients;
  }

  static async enter(stack: Stack, count: number): Promise<Viewers> {
    using entering = new DisposableStack();
    const clients: LiveClient[] = [];
    for (let index = 0; index < count; index += 1) {
      const client = await watchEvent({
        ...admin,
        directusUrl: stack.httpUrl,
        liveUrl: stack.liveUrl,
        eventId: seededEventId,
      });
      clients.push(entering.use(client));
    }
    const viewers = new Viewers(clients);
    await viewers.untilLive();
    // Now the caller closes them. Where they do not get in they would try for ever, and keep the process.
    entering.move();
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
      { timeoutMs: liveLimitMs, intervalMs: 50 },
    );
  }

  /** Waits until each has seen a fix that is newer than all that it holds now. */
  async untilAllMoved(): Promise<void> {
    const before = this.held().map(newestMs);
    await eventually(() => this.held().every((held, index) => newestMs(held) > (before[index] ?? 0)), {
      timeoutMs: liveLimitMs,
      intervalMs: 50,
    });
  }

  /** What each of them sees, by Directus' id of the device. */
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
