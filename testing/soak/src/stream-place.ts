import type { Redis } from 'ioredis';
import { group } from './open-world.ts';

/** Where the stream and its group stand, as Redis tells. */
export interface StreamPlace {
  readonly entriesAdded: number;
  readonly lastGeneratedId: string;
  readonly lastDeliveredId: string;
  readonly pending: number;
  /** Not yet delivered; null where Redis cannot tell. */
  readonly lag: number | null;
  readonly deadLetters: number;
}

export async function readPlace(redis: Redis, stream: string): Promise<StreamPlace> {
  const info = fieldsOf(await redis.xinfo('STREAM', stream));
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  const own = (Array.isArray(groups) ? groups : []).map(fieldsOf).find((each) => each.get('name') === group);
  if (own === undefined) throw new Error(`the stream has no group ${group}`);
  const lag = own.get('lag');
  return {
    entriesAdded: Number(info.get('entries-added')),
    lastGeneratedId: String(info.get('last-generated-id')),
    lastDeliveredId: String(own.get('last-delivered-id')),
    pending: Number(own.get('pending')),
    lag: typeof lag === 'number' ? lag : null,
    deadLetters: await redis.xlen(`${stream}:dlq`),
  };
}

function fieldsOf(reply: unknown): ReadonlyMap<unknown, unknown> {
  const flat: readonly unknown[] = Array.isArray(reply) ? reply : [];
  return new Map(flat.flatMap((name, n) => (n % 2 === 0 ? [[name, flat[n + 1]] as const] : [])));
}
