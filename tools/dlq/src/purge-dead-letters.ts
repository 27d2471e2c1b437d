import { deadLetterStream } from '@app/processor/stream/dead-letter';
import type { Redis } from 'ioredis';
import { type Selection, selectLetters } from './select-letters.ts';

export interface Purged {
  readonly stream: string;
  /** Deleted by this command; without confirmation, how many it would delete. */
  readonly letters: number;
}

const idsInOneCommand = 200;

/** Deletes letters for good, or, not confirmed, only counts them. */
export async function purgeLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
  isConfirmed: boolean,
  signal: AbortSignal,
): Promise<Purged> {
  let letters = 0;
  let ids: string[] = [];
  const flush = async (): Promise<void> => {
    if (ids.length > 0) {
      // Counted as Redis counts them: another command may have taken one first.
      letters += isConfirmed ? await redis.xdel(deadLetterStream(stream), ...ids) : ids.length;
    }
    ids = [];
  };
  for await (const { id } of selectLetters(redis, stream, selection)) {
    if (signal.aborted) break;
    ids.push(id);
    if (ids.length >= idsInOneCommand) await flush();
  }
  if (!signal.aborted) await flush();
  return { stream, letters };
}
