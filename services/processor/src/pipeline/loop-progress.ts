import type { HealthStatus } from '@app/runtime/ops-server';
import { maxRetryDelayMs } from '../store/statement-runner.ts';
import { replyGraceMs } from '../stream/stream-client.ts';

/**
 * Liveness of the loops. Progress is a read answered, a read deadline missed, or a retry begun: a loop that waits
 * for Postgres is alive, one that hangs is not.
 */
export class LoopProgress {
  readonly #limitMs: number;
  readonly #now: () => number;
  readonly #lastProgressAtMs = new Map<string, number>();

  constructor(streams: readonly string[], limitMs: number, now: () => number = () => performance.now()) {
    this.#limitMs = limitMs;
    this.#now = now;
    for (const stream of streams) this.noteProgress(stream);
  }

  noteProgress(stream: string): void {
    this.#lastProgressAtMs.set(stream, this.#now());
  }

  status(): HealthStatus {
    for (const [stream, atMs] of this.#lastProgressAtMs) {
      const stillMs = this.#now() - atMs;
      if (stillMs > this.#limitMs) {
        return {
          ok: false,
          reason: `the loop of ${stream} has made no progress for ${Math.round(stillMs)} ms`,
        };
      }
    }
    return { ok: true };
  }
}

/** Three times the longest possible iteration: restarting during a short disturbance would only prolong it. */
export function progressLimitMs(blockMs: number, writeTimeoutMs: number): number {
  return 3 * (blockMs + replyGraceMs + writeTimeoutMs + maxRetryDelayMs);
}
