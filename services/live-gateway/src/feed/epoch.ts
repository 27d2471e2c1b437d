import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';

const maxTries = 10;

/** A new globally unique epoch. Its first nine characters are the time, so that the later of two epochs is known. */
export function newEpoch(nowMs: number): string {
  return `${nowMs.toString(36).padStart(9, '0')}${randomBytes(9).toString('base64url')}`;
}

/**
 * Reads a stream's epoch from its key `{stream}:live-epoch` and creates it if it is missing. All gateways get the same
 * epoch. Flushing Redis deletes it together with the stream.
 *
 * @param invalidated the epoch in which the stream was rewound, if it was; it is replaced unless another gateway has
 * already done so. An older epoch, restored from a backup, is replaced as well: its cursors are invalid too.
 */
export async function readEpoch(
  redis: Redis,
  stream: string,
  invalidated: string | undefined,
  nowMs: number,
): Promise<string> {
  const key = `${stream}:live-epoch`;
  for (let tries = 0; tries < maxTries; tries += 1) {
    await redis.watch(key);
    // Read first: at `maxmemory` SET is refused, also where the key exists.
    const epoch = await redis.get(key);
    if (epoch !== null && (invalidated === undefined || isLater(epoch, invalidated))) {
      await redis.unwatch();
      return epoch;
    }
    if (epoch === null) {
      await redis.unwatch();
      await redis.set(key, newEpoch(nowMs), 'NX');
    } else {
      // WATCH: if another gateway has replaced it first, EXEC does nothing and the next iteration reads the new one.
      await redis.multi().set(key, newEpoch(nowMs)).exec();
    }
  }
  throw new Error(`${key} still changing after ${maxTries} attempts`);
}

function isLater(epoch: string, than: string): boolean {
  return epoch !== than && epoch.slice(0, 9) >= than.slice(0, 9);
}
