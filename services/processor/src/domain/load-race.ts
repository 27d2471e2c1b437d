import type { CheckedRace } from '@app/race/check-course';
import type { Race } from '@app/race/course';
import type { ISql } from 'postgres';
import {
  readAssignment,
  readEntry,
  readGate,
  readStage,
  readWaypoint,
  readZone,
} from './course/read-course.ts';
import { readDecision } from './course/read-decision.ts';
import { RowError, type Row } from './course/read-row.ts';
import { readThresholds } from './course/read-thresholds.ts';
import { selectRace } from './course/select-race.ts';

type CourseProblem = CheckedRace['problems'][number];

export interface LoadedRace {
  readonly race: Race;
  /** Values that are none. Whether the values fit together is for `checkCourse`. */
  readonly problems: readonly CourseProblem[];
}

/**
 * Reads one event, its course, entries, trackers and decisions from Directus' tables, without archived rows. A row with a
 * value that cannot be used is left out, with a problem; only a stage's line and an event's thresholds are left out alone.
 *
 * @returns undefined if there is no such event
 * @throws postgres.js' errors, also if a table or a column is missing or may not be read
 */
export async function loadRace(sql: ISql, eventId: string): Promise<LoadedRace | undefined> {
  const rows = await selectRace(sql, eventId);
  if (!rows?.event) return undefined;
  const problems: CourseProblem[] = [];
  const { event } = rows;
  const name = typeof event['name'] === 'string' ? event['name'] : '';
  const warnOf =
    (collection: CourseProblem['collection'], { id }: Row) =>
    (message: string): void =>
      void problems.push({ collection, id: String(id), message, isRefused: false });

  function readAll<Value>(
    collection: CourseProblem['collection'],
    list: readonly Row[],
    read: (row: Row, warn: (message: string) => void) => Value,
  ): readonly Value[] {
    return list.flatMap((row) => {
      try {
        return [read(row, warnOf(collection, row))];
      } catch (error) {
        if (!(error instanceof RowError)) throw error;
        problems.push({ collection, id: String(row['id']), message: error.message, isRefused: true });
        return [];
      }
    });
  }

  const race: Race = {
    event: {
      id: eventId,
      name,
      startAtMs: readTime(event['start_at']),
      endAtMs: readTime(event['end_at']),
      thresholds: readThresholds(`the event ${name}`, event['thresholds'], warnOf('events', event)),
    },
    stages: readAll('stages', rows.stages, readStage),
    gates: readAll('gates', rows.gates, readGate),
    waypoints: readAll('waypoints', rows.waypoints, readWaypoint),
    zones: readAll('zones', rows.zones, readZone),
    entries: readAll('entries', rows.entries, readEntry),
    assignments: readAll('entry_devices', rows.assignments, readAssignment),
    decisions: readAll('decisions', rows.decisions, readDecision),
  };
  return { race, problems };
}

/** `infinity`, which is no number in JSON, is like no time. */
function readTime(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
