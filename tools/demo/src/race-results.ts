import { setTimeout as sleep } from 'node:timers/promises';
import { findDifferences, type RaceIncident, type RaceSummary } from '@app/fleet-sim/expected-results';
import type { RaceOptions } from '@app/fleet-sim/race';
import postgres, { type Sql } from 'postgres';
import type { System } from './system.ts';

/** What the result tables hold of an event. */
interface RaceResults extends RaceSummary {
  readonly incidents: readonly Incident[];
  /** Of the first stage, in the order of the classification. */
  readonly classified: readonly Classified[];
}

interface Incident extends RaceIncident {
  readonly crew: string;
  readonly detail: string;
}

interface Classified {
  readonly stage: string;
  readonly place: number;
  readonly number: string;
  readonly crew: string;
  readonly isFinished: boolean;
  readonly totalMs: number | null;
}

/**
 * Reads the results until they are what follows from the script, or until the timeout.
 *
 * @param sentUntilMs when the last record was sent
 * @returns the results for a reader, and how they differ; both are empty without a script
 */
export async function untilAsScripted(
  { databaseUrl, event }: System,
  script: RaceOptions | undefined,
  sentUntilMs: number,
  timeoutMs: number,
): Promise<{ results: readonly string[]; differences: readonly string[] }> {
  if (script === undefined) return { results: [], differences: [] };
  const sql = postgres(databaseUrl, { max: 1 });
  try {
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const results = await readResults(sql, event.id);
      const differences = findDifferences(script, sentUntilMs, results);
      if (differences.length === 0 || Date.now() > deadlineMs) {
        return { results: describe(results), differences };
      }
      await sleep(200);
    }
  } finally {
    await sql.end();
  }
}

async function readResults(sql: Sql, eventId: string): Promise<RaceResults> {
  const gates = await sql<{ entry: string; passed: number }[]>`
    select entries.number || ' ' || stages.name as entry, count(*)::int as passed
      from passings join entries on entries.id = entry_id join stages on stages.id = passings.stage_id
     where passings.event_id = ${eventId} group by 1`;
  const incidents = await sql<Incident[]>`
    select incident.kind, incident.at, incident.detail, entries.number, entries.crew
      from (
        select 'SOS' as kind, entry_id, '' as at, case when is_open then 'open' else 'resolved' end as detail
          from incidents where rule = 'sos' and event_id = ${eventId}
        union all
        select 'stop', entry_id, stages.name, 'for ' || round(extract(epoch from until_at - from_at)) || ' s'
          from incidents join stages on stages.id = stage_id
         where rule = 'standing' and incidents.event_id = ${eventId}
        union all
        select 'missed waypoint', entry_id, stages.name || ' ' || waypoints.name, 'penalty ' || penalty_ms / 1000 || ' s'
          from waypoint_results join waypoints on waypoints.id = waypoint_id
               join stages on stages.id = waypoint_results.stage_id
         where verdict = 'missed' and waypoint_results.event_id = ${eventId}
        union all
        select 'speeding', entry_id, stages.name || ' ' || zones.name,
               maximum_kmh || ' km/h, penalty ' || penalty_ms / 1000 || ' s'
          from zone_episodes join zones on zones.id = zone_id join stages on stages.id = zone_episodes.stage_id
         where zone_episodes.event_id = ${eventId}
      ) as incident join entries on entries.id = entry_id
     order by lower(incident.kind), entries.start_order`;
  const classified = await sql<Classified[]>`
    select stages.name as stage, place, number, crew, classification.status = 'finished' as "isFinished",
           total_ms as "totalMs"
      from classification join entries on entries.id = entry_id join stages on stages.id = stage_id
     where classification.event_id = ${eventId} and stages.order_number = 1 order by list_order`;
  return { gatesPassed: new Map(gates.map(({ entry, passed }) => [entry, passed])), incidents, classified };
}

const shownPlaces = 5;

/** The first places of the first stage, and every incident. */
function describe({ classified, incidents }: RaceResults): readonly string[] {
  const finished = classified.filter(({ isFinished }) => isFinished);
  const stage = classified[0]?.stage ?? 'the first stage';
  return [
    `Results in Postgres: ${finished.length} of ${classified.length} entries have finished ${stage}`,
    ...finished
      .slice(0, shownPlaces)
      .map(({ place, number, crew, totalMs }) =>
        row(`${stage} place ${place}`, number, crew, minutes(totalMs ?? 0)),
      ),
    ...incidents.map(({ kind, number, crew, at, detail }) =>
      row(kind, number, crew, [at, detail].filter((part) => part !== '').join(', ')),
    ),
  ];
}

function row(title: string, number: string, crew: string, detail: string): string {
  return `  ${title.padEnd(15)}  ${`No. ${number}`.padEnd(8)}  ${crew.padEnd(25)}  ${detail}`;
}

function minutes(ms: number): string {
  const seconds = ((ms % 60_000) / 1000).toFixed(3).padStart(6, '0');
  return `${Math.floor(ms / 60_000)}:${seconds}`;
}
