import type { HealthStatus } from '@app/runtime/ops-server';

/** A loop that must make progress within `limitMs`, by the monotonic clock. */
export interface MonitoredLoop {
  readonly name: string;
  readonly lastProgressAtMs: () => number;
  readonly limitMs: number;
}

/**
 * Liveness: whether every loop makes progress. A loop that waits for Redis also makes progress, at each missed deadline:
 * restarting a gateway during a Redis outage would only make it worse. A loop that has not started (NaN) is not stuck.
 */
export function checkProgress(loops: readonly MonitoredLoop[], nowMs: number): HealthStatus {
  const stuck = loops.filter(({ lastProgressAtMs, limitMs }) => nowMs - lastProgressAtMs() > limitMs);
  return stuck.length === 0
    ? { ok: true }
    : { ok: false, reason: `no progress: ${stuck.map(({ name }) => name).join(', ')}` };
}
