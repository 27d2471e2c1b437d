import type { Redis } from 'ioredis';
import { group } from './open-harness.ts';

/** The stream and its consumer group, as Redis reports them. */
export interface StreamState {
  readonly entriesAdded: number;
  readonly lastGeneratedId: string;
  readonly lastDeliveredId: string;
  readonly pending: number;
  /** Entries not yet delivered; null if Redis does not know. */
  readonly lag: number | null;
  readonly deadLetters: number;
}

export async function readStreamState(redis: Redis, stream: string): Promise<StreamState> {
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
