import type { Verdict } from '@app/runtime/ops-server';

/** Something that must go on turning, by the process's clock. */
export interface TurningLoop {
  readonly name: string;
  readonly turnedAtMs: () => number;
  readonly limitMs: number;
}

/**
 * Whether every loop still turns. One that waits for Redis turns too, at each deadline that it misses: liveness fails
 * slowly, because a restart during an outage adds to it.
 */
export function judgeProgress(loops: readonly TurningLoop[], nowMs: number): Verdict {
  const stuck = loops.filter(({ turnedAtMs, limitMs }) => nowMs - turnedAtMs() > limitMs);
  return stuck.length === 0
    ? { ok: true }
    : { ok: false, reason: `no progress: ${stuck.map(({ name }) => name).join(', ')}` };
}
