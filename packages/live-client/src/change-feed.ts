import type { LivePosition } from './server-message.ts';
import type { Change } from './topic.ts';

/**
 * Unread changes of one reader. Holds at most the newest position of each device, so a slow reader misses intermediate
 * positions but never the last one, and memory is bounded.
 */
export class ChangeFeed {
  /** By topic and device; undefined for a removed device. */
  readonly #unread = new Map<string, Map<string, LivePosition | undefined>>();
  #hasEnded = false;
  #wake: (() => void) | undefined;

  add(change: Change): void {
    const unread = this.#unread.get(change.topic) ?? new Map<string, LivePosition | undefined>();
    this.#unread.set(change.topic, unread);
    for (const deviceId of change.removed) unread.set(deviceId, undefined);
    for (const position of change.positions) unread.set(position.deviceId, position);
    this.#wake?.();
  }

  /** Unread changes can still be read. */
  end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  /** Waits for a change; undefined after the last. Must not be called concurrently. */
  async next(): Promise<Change | undefined> {
    for (;;) {
      for (const [topic, unread] of this.#unread) {
        this.#unread.delete(topic);
        const removed = [...unread].flatMap(([deviceId, position]) =>
          position === undefined ? deviceId : [],
        );
        return {
          topic,
          positions: [...unread.values()].filter((position) => position !== undefined),
          removed,
        };
      }
      if (this.#hasEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
