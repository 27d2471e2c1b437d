import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { startAudience } from './audience-process.ts';
import { crowdAt, type Race, startFeed, startGateway } from './race.ts';

export interface StormResults {
  readonly connections: number;
  /** Distinct session cookies; each may watch the one event, so there are as many pairs of the two. */
  readonly cookies: number;
  /** From the cut until the last one is live again. */
  readonly liveAfterMs: number;
  /** How many got only what they had missed, and no snapshot. */
  readonly recovered: number;
  readonly databaseQueries: number;
  readonly directusCalls: number;
}

const withinMs = 1000;
/** Postgres' counters are brought up to date once a second. */
const countersLagMs = 1500;

/** All clients are cut at once, and are back within a second. */
export async function benchStorm(
  race: Race,
  connections: number,
  say: (line: string) => void,
): Promise<StormResults> {
  await using feed = await startFeed(race);
  await using gateway = await startGateway(race);
  await using crowd = startAudience();
  await crowd.open(crowdAt(race, gateway.url, connections, { resumes: true }));
  // Longer than any answer of Directus is remembered: the storm has to ask anew.
  await sleep(10_500);
  const queriesBefore = await transactions(race);
  const callsBefore = race.directus.calls.length;
  const { liveAfterMs, recovered } = await crowd.comeBack(withinMs);
  const directusCalls = race.directus.calls.length - callsBefore;
  const databaseQueries = (await transactions(race)) - queriesBefore;
  const connected = readMetric(await gateway.metrics(), 'live_connections');
  if (connected !== connections) throw new Error(`${connected} of ${connections} clients are back`);
  if (!feed.isRunning) throw new Error('the feed has ended early');
  say(
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

/** Transactions of others in the benchmark's database so far: each query of the gateway is one. */
async function transactions({ servers }: Race): Promise<number> {
  await sleep(countersLagMs);
  ownQuestions += 1;
  const [row] = await servers.sql<{ total: number }[]>`
    select (xact_commit + xact_rollback)::float8 as total
      from pg_stat_database where datname = current_database()`;
  return (row?.total ?? Number.NaN) - ownQuestions;
}

let ownQuestions = 0;
