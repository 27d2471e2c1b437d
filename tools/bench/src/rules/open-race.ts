import { createDirectusTables } from '@app/test-kit/directus-tables';
import type { Race } from '@app/race/course';
import type { BenchServers } from '../servers.ts';
import { insertRace } from './insert-race.ts';

/** Puts a race into the database; at the end it is deleted there, and its streams in Redis. */
export async function openRace(
  { sql, redis }: BenchServers,
  race: Race,
  raceStatus: 'planned' | 'running',
): Promise<AsyncDisposable> {
  await createDirectusTables(sql);
  await insertRace(sql, race, raceStatus);
  const { id } = race.event;
  return {
    async [Symbol.asyncDispose]() {
      await redis.unlink(`stored:${id}`, `results:${id}`);
      await sql`delete from events where id = ${id}`;
    },
  };
}
