import { fileURLToPath } from 'node:url';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { seededEventId } from '@app/fleet-sim/seed-sql';

test('the seed fills the collections once, with a running event, 50 complete entries and a course', async () => {
  await using database = await startPostgres();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const seed = fileURLToPath(new URL('../../../deploy/directus/seed.sql', import.meta.url));
  for (let run = 0; run < 2; run += 1) await sql.file(seed).simple();
  const [counted] = await sql`
    select (select race_status from events where id = ${seededEventId}) as status,
           (select count(distinct start_order)::int from entries where event_id = ${seededEventId}) as entries,
           (select count(*)::int from entries where number <> '' and crew <> '' and class <> ''
               and start_at >= (select start_at from events) + interval '15 minutes') as complete,
           (select string_agg(entries.name, ' ') from entries
             where 1 < (select count(*) from entry_devices where entry_id = entries.id)) as "withTwoTrackers",
           (select count(*)::int from stages where event_id = ${seededEventId}) as stages,
           (select count(*)::int from gates join stages on stages.id = stage_id) as gates,
           (select count(*)::int from waypoints join stages on stages.id = stage_id) as waypoints,
           (select string_agg(zones.kind, ' ' order by zones.kind) from zones join stages on stages.id = stage_id) as zones`;
  await sql.end();
  expect(counted).toEqual({
    status: 'running',
    entries: 50,
    complete: 50,
    withTwoTrackers: 'No. 7',
    stages: 3,
    gates: 12,
    waypoints: 20,
    zones: 'protected speed',
  });
});
