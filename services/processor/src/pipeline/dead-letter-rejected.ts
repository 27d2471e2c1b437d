import type { Logger } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import { type DeadLetterTarget, writeDeadLetters } from '../stream/write-dead-letters.ts';
import type { Fix, Rejected } from '../fix.ts';

/** Maximum ids per log line; the dead-letter stream has them all. */
const maxLoggedIds = 10;

export interface DeadLetterContext {
  readonly redis: Redis;
  readonly target: DeadLetterTarget;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly onRetry: () => void;
}

/** Writes rejected entries to the dead-letter stream, retrying until Redis accepts them all or `signal` aborts. */
export async function deadLetterRejected(
  rejected: readonly Rejected[],
  { redis, target, metrics, log, onRetry }: DeadLetterContext,
  signal: AbortSignal,
): Promise<void> {
  if (rejected.length === 0) return;
  await retry(() => writeDeadLetters(redis, target, rejected), {
    signal,
    onRetry: (error, delayMs, attempt) => {
      onRetry();
      log.warn({ error, attempt, delayMs }, 'dead-letter write failed; retrying');
    },
  });
  for (const [reason, entries] of Map.groupBy(rejected, (each) => each.reason)) {
    metrics.deadLetters.inc({ reason }, entries.length);
    const ids = entries.slice(0, maxLoggedIds).map(({ entry }) => entry.id);
    const { stream } = target;
    log.warn(
      { stream, reason, detail: entries[0]?.detail, entries: entries.length, ids },
      'entries dead-lettered',
    );
  }
}

/** A fix whose device and time are stored with other content. */
export function rejectConflicting({ entry }: Fix): Rejected {
  const detail = 'another record of this device with the same fix time and other content is stored already';
  return { entry, reason: 'same_time', detail };
}
