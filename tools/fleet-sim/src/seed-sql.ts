import { raceTrackers } from './race.ts';
import { raceSql } from './race-sql.ts';
import { startList } from './start-list.ts';

/** The event of `deploy/directus/seed.sql`. */
export const seededEventId = '5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1';

/** What the fleet-sim of docker compose sends. */
export const seededFleet = { seed: 1, vehicles: 50, hasIncidents: true };
const startIntervalMs = 10_000;

/** The content of `deploy/directus/seed.sql`. */
export function seedSql(): string {
  const entries = startList(raceTrackers(seededFleet), startIntervalMs);
  const statements = raceSql({ eventId: seededEventId, entries, startAt: 'now()' });
  return `-- Made by \`pnpm run generate\`: the event of docker compose, with an entry for each vehicle of fleet-sim and a course on its
-- circuit. Needs Directus' collections (snapshot.yaml). Safe to run twice: ids are derived from the data.
begin;

${statements}
commit;
`;
}
