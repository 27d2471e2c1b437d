import type { Redis } from 'ioredis';
import { askDirectus } from './ask-directus.ts';
import type { Reading } from './connect.ts';
import { failed, note, ok, type Finding } from './finding.ts';

/** Above the resolution of an HTTP date and the time that a busy server takes to answer. */
const toleranceMs = 5_000;

/** The clocks of Redis, Postgres and Directus, each compared with that of this machine. */
export async function checkClocks(servers: {
  readonly redis: Redis;
  readonly read: Reading;
  readonly directusUrl: string;
}): Promise<readonly Finding[]> {
  const { redis, read, directusUrl } = servers;
  return [
    await compare('Redis', async () => {
      const [seconds, micros] = await redis.time();
      return Number(seconds) * 1000 + Number(micros) / 1000;
    }),
    await compare('Postgres', async () => {
      const [row] = await read(
        (sql) => sql<{ ms: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`,
      );
      return row?.ms;
    }),
    await compare('Directus', async () => {
      const answer = await askDirectus(directusUrl, '/server/ping');
      // A date without milliseconds is half a second early on average.
      return answer.answered && answer.date !== null ? Date.parse(answer.date) + 500 : undefined;
    }),
  ];
}

async function compare(name: string, readMs: () => Promise<number | undefined>): Promise<Finding> {
  const startedAtMs = Date.now();
  const theirMs = await readMs().catch(() => undefined);
  if (theirMs === undefined) return note(name, 'not known: it does not answer');
  const aheadMs = theirMs - (startedAtMs + Date.now()) / 2;
  const found = `${Math.abs(aheadMs / 1000).toFixed(1)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine`;
  return Math.abs(aheadMs) <= toleranceMs
    ? ok(name, found)
    : failed(name, found, 'Set both clocks by a time server (chrony); entry ids and flags depend on them');
}
