import type { Redis } from 'ioredis';
import { deadLetterStream, encodeDeadLetter } from './dead-letter.ts';
import type { Rejected } from '../fix.ts';

export interface DeadLetterTarget {
  readonly stream: string;
  readonly consumer: string;
  /** Approximate maximum length of the dead-letter stream. */
  readonly maxLength: number;
}

/**
 * Appends rejected entries to the dead-letter stream: their fields byte for byte, then `dlq_*` fields with the cause.
 * Rejects if any XADD fails; a retry then writes all of them again, some twice.
 */
export async function writeDeadLetters(
  redis: Redis,
  target: DeadLetterTarget,
  rejected: readonly Rejected[],
): Promise<void> {
  const pipeline = redis.pipeline();
  const at = new Date().toISOString();
  for (const each of rejected) {
    const fields = encodeDeadLetter(each, target.consumer, at);
    pipeline.xadd(deadLetterStream(target.stream), 'MAXLEN', '~', target.maxLength, '*', ...fields);
  }
  for (const [error] of (await pipeline.exec()) ?? []) {
    if (error !== null) throw error;
  }
}
