import type { Redis } from 'ioredis';
import { beforeAllEntries } from './stream-cursor.ts';
import type { StreamInfo } from './stream-cursor.ts';

const noStream: StreamInfo = {
  exists: false,
  length: 0,
  lastGeneratedId: beforeAllEntries,
  entriesAdded: 0,
};

/** XINFO STREAM. A missing stream is not an error. */
export async function readStreamInfo(redis: Redis, stream: string): Promise<StreamInfo> {
  let reply: unknown;
  try {
    reply = await redis.xinfo('STREAM', stream);
  } catch (error) {
    if (isNoSuchKey(error)) return noStream;
    throw error;
  }
  const fields = readPairs(reply);
  const lastGeneratedId = fields.get('last-generated-id');
  return {
    exists: true,
    length: Number(fields.get('length') ?? 0),
    lastGeneratedId: typeof lastGeneratedId === 'string' ? lastGeneratedId : beforeAllEntries,
    entriesAdded: Number(fields.get('entries-added') ?? 0),
  };
}

/** Turns a flat reply `[name, value, name, value, …]` into a map. */
export function readPairs(reply: unknown): ReadonlyMap<string, unknown> {
  const pairs = new Map<string, unknown>();
  if (!Array.isArray(reply)) return pairs;
  for (let n = 0; n + 1 < reply.length; n += 2) pairs.set(String(reply[n]), reply[n + 1]);
  return pairs;
}

export function isNoSuchKey(error: unknown): boolean {
  return error instanceof Error && /no such key|requires the key to exist/i.test(error.message);
}

/** The Redis user lacks the right to run the command. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOPERM');
}

/** Redis is at `maxmemory` or cannot save its data; within MULTI the cause is in `previousErrors`. */
export function isWriteRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const previous: unknown = 'previousErrors' in error ? error.previousErrors : undefined;
  return (
    /^(?:OOM|MISCONF)/u.test(error.message) || (Array.isArray(previous) && previous.some(isWriteRefused))
  );
}
