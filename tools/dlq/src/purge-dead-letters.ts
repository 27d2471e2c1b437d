import { deadLetterStream } from '@app/processor/stream/dead-letter';
import type { Redis } from 'ioredis';
import { type Selection, selectDeadLetters } from './select-dead-letters.ts';

export interface Purged {
  readonly stream: string;
  /** Deleted dead letters; without confirmation, those that would be deleted. */
  readonly letters: number;
}

const idsPerCommand = 200;

/** Deletes the selected dead letters, or only counts them without confirmation. */
export async function purgeDeadLetters(
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
      // XDEL's own count: another command may have deleted some of them.
      letters += isConfirmed ? await redis.xdel(deadLetterStream(stream), ...ids) : ids.length;
    }
    ids = [];
  };
  for await (const { id } of selectDeadLetters(redis, stream, selection)) {
    if (signal.aborted) break;
    ids.push(id);
    if (ids.length >= idsPerCommand) await flush();
  }
  if (!signal.aborted) await flush();
  return { stream, letters };
}
