import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { eventually } from './eventually.ts';

/**
 * Makes a Redis of the test's own unable to save snapshots, so that it refuses every write with MISCONF.
 *
 * @returns a function that makes it save again.
 */
export async function failSnapshots(redis: Redis): Promise<() => Promise<void>> {
  const [, folder = ''] = await redis.config('GET', 'dir').then(strings);
  // The snapshot cannot replace a folder that is not empty.
  const inTheWay = join(folder, 'dump.rdb');
  await rm(inTheWay, { recursive: true, force: true });
  await mkdir(join(inTheWay, 'entry'), { recursive: true });
  await redis.config('SET', 'save', '3600 1');
  await saveUntil(redis, 'err');
  return async () => {
    await rm(inTheWay, { recursive: true });
    await saveUntil(redis, 'ok');
  };
}

async function saveUntil(redis: Redis, status: string): Promise<void> {
  await redis.bgsave();
  await eventually(async () =>
    (await redis.info('persistence')).includes(`rdb_last_bgsave_status:${status}\r\n`),
  );
}

function strings(reply: unknown): readonly string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}
