import type { Redis } from 'ioredis';
import type { Rejected } from './decode-entries.ts';

export interface DeadLetterTarget {
  readonly stream: string;
  readonly consumer: string;
  /** The dead-letter stream is trimmed to about this many entries. */
  readonly maxLength: number;
}

/** The stream that keeps what could not be stored, and why. */
export function deadLetterStream(stream: string): string {
  return `${stream}:dlq`;
}

/**
 * Appends rejected entries to the dead-letter stream: the fields byte for byte as they came, then `dlq_*`
 * fields that say why. Rejects if any of them was not taken; those taken are then written again by the retry,
 * for twice is better than never.
 */
export async function parkRejected(
  redis: Redis,
  target: DeadLetterTarget,
  rejected: readonly Rejected[],
): Promise<void> {
  const pipeline = redis.pipeline();
  const at = new Date().toISOString();
  for (const letter of rejected) {
    const fields = [...letter.entry.fields, ...causeFields(letter, target.consumer, at)];
    pipeline.xadd(deadLetterStream(target.stream), 'MAXLEN', '~', target.maxLength, '*', ...fields);
  }
  for (const [error] of (await pipeline.exec()) ?? []) {
    if (error !== null) throw error;
  }
}

function causeFields({ entry, reason, detail, sqlState }: Rejected, consumer: string, at: string): string[] {
  const cause = {
    dlq_reason: reason,
    dlq_detail: detail,
    dlq_sqlstate: sqlState ?? '',
    dlq_entry_id: entry.id,
    dlq_deliveries: String(entry.deliveries),
    dlq_consumer: consumer,
    dlq_at: at,
  };
  return Object.entries(cause).flat();
}
