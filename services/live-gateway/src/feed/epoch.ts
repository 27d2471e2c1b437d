import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';

const maxTries = 10;

/** A text that no other process draws, with the time in front: of two epochs the later one is known. */
export function newEpoch(nowMs: number): string {
  return `${nowMs.toString(36).padStart(9, '0')}${randomBytes(9).toString('base64url')}`;
}

/**
 * Reads the epoch of a stream from beside it, and sets one where there is none: whoever comes first wins, all gateways
 * agree. It vanishes with the stream when Redis is emptied.
 *
 * @param doubted the epoch in which the stream went back, if it did: it is replaced, unless another gateway has done so.
 * A backup that was restored may hold an older one still, whose cursors are worth nothing either.
 */
export async function readEpoch(
  redis: Redis,
  stream: string,
  doubted: string | undefined,
  nowMs: number,
): Promise<string> {
  const key = epochKey(stream);
  for (let tries = 0; tries < maxTries; tries += 1) {
    await redis.set(key, newEpoch(nowMs), 'NX');
    await redis.watch(key);
    const epoch = await redis.get(key);
    if (epoch !== null && (doubted === undefined || isLater(epoch, doubted))) {
      await redis.unwatch();
      return epoch;
    }
    // Nothing is set if somebody else was faster; then theirs is read.
    if (epoch !== null) await redis.multi().set(key, newEpoch(nowMs)).exec();
  }
  throw new Error(`${key} changes all the time`);
}

/** Beside the stream: `telemetry:teltonika:live-epoch`. */
function epochKey(stream: string): string {
  return `${stream}:live-epoch`;
}

function isLater(epoch: string, than: string): boolean {
  return epoch !== than && epoch.slice(0, 9) >= than.slice(0, 9);
}
