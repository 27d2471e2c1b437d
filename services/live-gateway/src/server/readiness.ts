import type { HealthStatus } from '@app/runtime/ops-server';

/** What must happen once before the gateway is ready; shown in the body of `/readyz`. */
export const readinessConditions = {
  assigned: 'assignments',
  hydrated: 'latest fixes from Postgres',
  caughtUp: (stream: string) => `${stream} to catch up`,
};

/**
 * Readiness: every condition has been fulfilled once, and the gateway is not draining. Outages of Postgres or Redis and
 * lag do not make a ready gateway unready: all replicas would leave the load balancer at once.
 */
export class Readiness {
  readonly #pending: Set<string>;
  readonly #onReady: () => void;
  #isDraining = false;

  /** @param conditions as shown in the body of `/readyz`. */
  constructor(conditions: readonly string[], onReady: () => void) {
    this.#pending = new Set(conditions);
    this.#onReady = onReady;
  }

  /** Marks a condition as fulfilled, for good. */
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
    return { ok: false, reason: `waiting for: ${[...this.#pending].join('; ')}` };
  }
}
