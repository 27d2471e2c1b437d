import type { Redis } from 'ioredis';
import { deadLetterStream, encodeDeadLetter } from './dead-letter.ts';
import type { Rejected } from '../pipeline/decode-entries.ts';

export interface DeadLetterTarget {
  readonly stream: string;
  readonly consumer: string;
  /** The dead-letter stream is trimmed to about this many entries. */
  readonly maxLength: number;
}

/**
 * Appends rejected entries to the dead-letter stream: the fields byte for byte as they came, then `dlq_*`
 * fields that say why. Rejects if any of them was not taken; those taken are then written again by the retry,
 * for twice is better than never.
 */
export async function writeDeadLetters(
  redis: Redis,
  target: DeadLetterTarget,
  rejected: readonly Rejected[],
): Promise<void> {
  const pipeline = redis.pipeline();
  const at = new Date().toISOString();
  for (const letter of rejected) {
    const fields = encodeDeadLetter(letter, target.consumer, at);
    pipeline.xadd(deadLetterStream(target.stream), 'MAXLEN', '~', target.maxLength, '*', ...fields);
  }
  for (const [error] of (await pipeline.exec()) ?? []) {
    if (error !== null) throw error;
  }
}
