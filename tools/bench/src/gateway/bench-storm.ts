import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { Clients } from './clients.ts';
import { clientsOptions, type Race, startFeed, startGateway } from './race.ts';

export interface StormResults {
  readonly connections: number;
  /** Distinct session cookies; as many pairs of cookie and event. */
  readonly cookies: number;
  /** From the cut until the last one is live again. */
  readonly liveAfterMs: number;
  /** Clients that resumed without a snapshot. */
  readonly recovered: number;
  readonly databaseQueries: number;
  readonly directusCalls: number;
}

const withinMs = 1000;
/** Postgres updates its counters once a second. */
const countersLagMs = 1500;

/** All clients are cut at once and reconnect within a second. */
export async function benchStorm(
  race: Race,
  connections: number,
  print: (line: string) => void,
): Promise<StormResults> {
  await using feed = await startFeed(race);
  await using gateway = await startGateway(race);
  await using clients = await Clients.open(clientsOptions(race, gateway.url, connections, { resumes: true }));
  // Longer than the cache TTL of sessions, so that Directus is asked again.
  await sleep(10_500);
  const queriesBefore = await transactions(race);
  const callsBefore = race.directus.calls.length;
  const { liveAfterMs, recovered } = await clients.reconnect(withinMs);
  const directusCalls = race.directus.calls.length - callsBefore;
  const databaseQueries = (await transactions(race)) - queriesBefore;
  const connected = readMetric(await gateway.exposition(), 'live_connections');
  if (connected !== connections) throw new Error(`${connected} of ${connections} clients are back`);
  if (!feed.isRunning) throw await feed.exitError();
  print(
    `storm: ${connections} live after ${Math.round(liveAfterMs)} ms, ${recovered} recovered, ${directusCalls} calls to Directus, ${databaseQueries} database queries`,
  );
  return {
    connections,
    cookies: Math.min(connections, race.sessions.length),
    liveAfterMs,
    recovered,
    databaseQueries,
    directusCalls,
  };
}

/** Transactions of the gateway so far: each of its queries is one. */
async function transactions({ servers }: Race): Promise<number> {
  await sleep(countersLagMs);
  ownQueries += 1;
  const [row] = await servers.sql<{ total: number }[]>`
    select (xact_commit + xact_rollback)::float8 as total
      from pg_stat_database where datname = current_database()`;
  return (row?.total ?? Number.NaN) - ownQueries;
}

let ownQueries = 0;
