import type { ResultRow } from '@app/shared/messages';

/** The tables of results, as the processor writes and announces them. */
export const resultTables = [
  'passings',
  'waypoint_results',
  'zone_episodes',
  'incidents',
  'stage_results',
  'classification',
  'vehicle_states',
] as const;

const knownTables: ReadonlySet<string> = new Set(resultTables);

/** `full` is for those who may read the collection `incidents`. */
export type ResultsView = 'full' | 'public';

/** Not for everybody: what may concern somebody's safety, and penalties that race control has not confirmed. */
const hiddenTables: ReadonlySet<string> = new Set(['waypoint_results', 'zone_episodes', 'incidents']);

export function isTableShown(table: string, view: ResultsView): boolean {
  return view === 'full' || !hiddenTables.has(table);
}

/** A row as clients of a view see it; undefined if they do not. */
export function shownRow(table: string, row: ResultRow, view: ResultsView): ResultRow | undefined {
  if (view === 'full') return row;
  if (table === 'vehicle_states') return shownState(row);
  if (table === 'stage_results') return shownStageResult(row);
  // The others tell how race control judges.
  if (table === 'passings' && row['verdict'] !== 'counted') return undefined;
  return isTableShown(table, view) ? row : undefined;
}

/** An SOS is an incident: others see what the vehicle does apart from it, and since when. */
function shownState(row: ResultRow): ResultRow {
  const { tracker_state: state = null, tracker_state_since: since = null, last_record_at: _, ...shown } = row;
  return { ...shown, state, since };
}

/** How many waypoints were missed would tell of hidden ones. */
function shownStageResult(row: ResultRow): ResultRow {
  const { missed_waypoints: _, ...shown } = row;
  return shown;
}

/** Rows of one table by their key. */
export type RowsByKey = ReadonlyMap<string, ResultRow>;

/** What changed in one table: rows as they are now, and keys that are gone. */
export interface TableChanges {
  readonly table: string;
  readonly set: RowsByKey;
  readonly removed: readonly string[];
}

/** Columns that clients are not sent: the topic names the event, and an IMEI is a tracker's only credential. */
const leftOut: ReadonlySet<string> = new Set(['key', 'event_id', 'device_id', 'computed_at']);
/** A timestamptz in JSON. */
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d$/u;

/** Rows of a table as Postgres has them in JSON, or as they are announced; those without a key are left out. */
export function readRows(eventId: string, rows: readonly unknown[]): RowsByKey {
  return new Map(
    rows.flatMap((row) => {
      const columns = typeof row === 'object' && row !== null ? Object.entries(row) : [];
      const key: unknown = columns.find(([name]) => name === 'key')?.[1];
      if (typeof key !== 'string') return [];
      const shortKey = readKey(eventId, key);
      const kept = columns.filter(([name]) => !leftOut.has(name));
      return [[shortKey, { key: shortKey, ...Object.fromEntries(kept.map(readColumn)) }] as const];
    }),
  );
}

/** Undefined if they are not changes by table, as announced. */
export function readChanges(eventId: string, json: string): readonly TableChanges[] | undefined {
  let tables: unknown;
  try {
    tables = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (typeof tables !== 'object' || tables === null) return undefined;
  const changes: TableChanges[] = [];
  // A table that is not known here belongs to a newer processor.
  for (const [table, change] of Object.entries(tables).filter(([name]) => knownTables.has(name))) {
    const { rows, gone } = change ?? {};
    if (!Array.isArray(rows) || !Array.isArray(gone)) return undefined;
    const removed = gone.map((key) => readKey(eventId, String(key)));
    changes.push({ table, set: readRows(eventId, rows), removed });
  }
  return changes;
}

function readKey(eventId: string, key: string): string {
  return key.startsWith(`${eventId}/`) ? key.slice(eventId.length + 1) : key;
}

function readColumn([name, value]: readonly [string, unknown]): readonly [string, ResultRow[string]] {
  if (typeof value === 'string') return [name, timestamp.test(value) ? Date.parse(value) : value];
  return [name, typeof value === 'number' || typeof value === 'boolean' ? value : null];
}
