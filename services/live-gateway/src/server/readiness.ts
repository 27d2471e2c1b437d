import type { HealthStatus } from '@app/runtime/ops-server';

/** What the gateway waits for before it is ready, in words. */
export const readinessConditions = {
  assigned: 'the assignments are loaded',
  hydrated: 'Postgres has been asked for the latest fixes',
  caughtUp: (stream: string) => `${stream} is caught up`,
};

/**
 * What must have happened once before clients may come. Nothing that happens later to Postgres, Redis or the lag makes
 * a gateway unready: all replicas would leave the balancer at once, and the map with them.
 */
export class Readiness {
  readonly #pending: Set<string>;
  readonly #onReady: () => void;
  #isDraining = false;

  /** @param conditions in words, such as `the assignments are loaded`. */
  constructor(conditions: readonly string[], onReady: () => void) {
    this.#pending = new Set(conditions);
    this.#onReady = onReady;
  }

  /** The condition is fulfilled, once and for all. */
  fulfil(condition: string): void {
    if (this.#pending.delete(condition) && this.#pending.size === 0) this.#onReady();
  }

  drain(): void {
    this.#isDraining = true;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  status(): HealthStatus {
    if (this.#isDraining) return { ok: false, reason: 'draining' };
    if (this.#pending.size === 0) return { ok: true };
    return { ok: false, reason: `not yet: ${[...this.#pending].join('; ')}` };
  }
}
