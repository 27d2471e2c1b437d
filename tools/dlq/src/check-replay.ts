import { decodeEntries } from '@app/processor/pipeline/decode-entries';
import type { Redis } from 'ioredis';
import { printable } from './printable.ts';
import { redisNowMs, type Selection, selectDeadLetters } from './select-dead-letters.ts';

/** Fewer do not stop a stream: the processor's `minRejected`. */
const maxRejectedAgain = 249;

/**
 * What speaks against a replay: so many dead letters would be rejected again that the processor would stop the stream.
 * Undefined if nothing does. Finds what this version cannot decode, what is too far ahead, and what contradicts a stored
 * record, but no row that Postgres refuses.
 */
export async function checkReplay(
  redis: Redis,
  stream: string,
  selection: Selection,
  futureLimitMs: number,
): Promise<string | undefined> {
  const id = `${await redisNowMs(redis)}-0`;
  const reasons = new Map<string, number>();
  let letters = 0;
  for await (const { deadLetter } of selectDeadLetters(redis, stream, selection)) {
    if (deadLetter === undefined) continue;
    letters += 1;
    const entry = { id, fields: deadLetter.fields, deliveries: 1 };
    const { rejected } = decodeEntries([entry], {
      futureFlagMs: futureLimitMs,
      futureLimitMs,
      // An older fix is stored as well, elsewhere.
      pastLimitMs: Infinity,
    });
    const { dlq_reason: reason } = deadLetter.cause;
    // Without asking Postgres: the other record is stored unless somebody deleted it.
    const again = rejected[0]?.reason ?? (reason === 'same_time' ? reason : undefined);
    if (again !== undefined) reasons.set(again, (reasons.get(again) ?? 0) + 1);
  }
  const again = [...reasons.values()].reduce((total, count) => total + count, 0);
  if (again <= maxRejectedAgain) return undefined;
  const counts = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(', ');
  return `${printable(stream)}: ${again} of ${letters} would be rejected again (${counts}), and so many can stop the stream; nothing was replayed. Deploy a version that decodes them, set FUTURE_LIMIT_MS as for the processor, leave out same_time unless the other record was deleted, select fewer, or add --anyway`;
}
