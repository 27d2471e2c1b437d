import type { HealthStatus } from '@app/runtime/ops-server';

/** Something that must go on turning, by the process's clock. */
export interface MonitoredLoop {
  readonly name: string;
  readonly lastProgressAtMs: () => number;
  readonly limitMs: number;
}

/**
 * Whether every loop still turns. One that waits for Redis turns too, at each deadline that it misses: liveness fails
 * slowly, because a restart during an outage adds to it.
 */
export function checkProgress(loops: readonly MonitoredLoop[], nowMs: number): HealthStatus {
  const stuck = loops.filter(({ lastProgressAtMs: turnedAtMs, limitMs }) => nowMs - turnedAtMs() > limitMs);
  return stuck.length === 0
    ? { ok: true }
    : { ok: false, reason: `no progress: ${stuck.map(({ name }) => name).join(', ')}` };
}
