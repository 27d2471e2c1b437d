import type { HealthStatus } from '@app/runtime/ops-server';

/**
 * Liveness of the loops. A turn is a read answered, a read's deadline missed, or a retry begun: a loop that waits
 * for Postgres as it should is alive, one that hangs is not.
 */
export class LoopProgress {
  readonly #limitMs: number;
  readonly #now: () => number;
  readonly #lastTurnAtMs = new Map<string, number>();

  constructor(streams: readonly string[], limitMs: number, now: () => number = () => performance.now()) {
    this.#limitMs = limitMs;
    this.#now = now;
    for (const stream of streams) this.noteProgress(stream);
  }

  noteProgress(stream: string): void {
    this.#lastTurnAtMs.set(stream, this.#now());
  }

  status(): HealthStatus {
    for (const [stream, atMs] of this.#lastTurnAtMs) {
      const stillMs = this.#now() - atMs;
      if (stillMs > this.#limitMs) {
        return { ok: false, reason: `the loop of ${stream} has not turned for ${Math.round(stillMs)} ms` };
      }
    }
    return { ok: true };
  }
}

/** Three times the longest that one turn may take: liveness fails slowly, for a restart in a blip adds to it. */
export function progressLimitMs(blockMs: number, writeTimeoutMs: number): number {
  return 3 * (blockMs + 2000 + writeTimeoutMs + 15_000);
}
