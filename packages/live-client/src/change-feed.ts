import type { LivePosition } from './server-message.ts';
import type { Change } from './topic.ts';

/**
 * What one reader has not read yet. It holds a device at most once, with its newest position: a slow reader misses
 * positions in between and never the last one, and cannot make memory grow.
 */
export class ChangeFeed {
  /** By topic and device; undefined for a device that is no longer shown. */
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

  /** What is unread can still be read. */
  end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  /** Waits for a change; undefined after the last. For one reader, that waits for one at a time. */
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
