import { evaluateRace } from '@app/race/evaluate-race';
import { eventWindow, isDuring } from '@app/race/event-window';
import type { Fix } from '@app/race/fix';
import type { Sql } from 'postgres';
import { resultTables, tableRows } from '../../src/domain/evaluator/result-tables.ts';
import { loadRace } from '../../src/domain/load-race.ts';

type StoredRow = Omit<Fix, 'hdop'> & {
  readonly deviceId: string;
  readonly storedAtMs: number;
  readonly attributes: Row;
};
type Row = Readonly<Record<string, unknown>>;
type TableName = keyof ReturnType<typeof tableRows>;
export type Results = Readonly<Record<TableName, readonly Row[]>>;

const names = Object.values(resultTables).flatMap(({ name }) => (name === 'vehicle_states' ? [] : name));

/** The results of all rows of `positions`, by the rules alone. */
export async function resultsFromScratch(sql: Sql, eventId: string): Promise<Results> {
  const loaded = await loadRace(sql, eventId);
  if (!loaded) throw new Error('no such event');
  const { race } = loaded;
  const { endAtMs = Infinity } = race.event;
  const window = eventWindow(race);
  const rows = await sql<StoredRow[]>`
    select device_id as "deviceId", (extract(epoch from ts) * 1000)::float8 as "fixAtMs",
           round(extract(epoch from ingested_at) * 1000)::float8 as "storedAtMs", latitude, longitude,
           speed::float8 as "speedKmh", attributes, priority, quality, faulty as "isFaulty"
      from (select * from positions union all select * from positions_past_limit) as stored
     where device_id in ${sql(['', ...race.assignments.map(({ deviceId }) => deviceId)])}
     order by random()`;
  const fixes = rows.map((row) => Object.assign(row, { hdop: hdopOf(row.attributes) }));
  const inTime = fixes.filter((fix) => isDuring(window, fix));
  const sos = fixes
    .filter((fix) => fix.priority === 2 && !isDuring(window, fix))
    .toSorted((a, b) => a.fixAtMs - b.fixAtMs)
    .map((fix) => Object.assign(fix, { fixAtMs: fix.storedAtMs, isClockWrong: true }));
  const ofEvent = [...sos, ...inTime];
  const good = inTime.filter(({ quality, isFaulty }) => quality === 0 && !isFaulty);
  const newestMs = Math.max(-Infinity, ...good.map(({ fixAtMs }) => fixAtMs));
  const asOfMs = Date.now() > endAtMs ? endAtMs + 1 : newestMs;
  const { entries, classification } = evaluateRace(
    race,
    Map.groupBy(ofEvent, ({ deviceId }) => deviceId),
    asOfMs,
  );
  return sorted(tableRows(entries, classification));
}

/** What the tables hold. */
export async function resultsStored(sql: Sql, eventId: string): Promise<Results> {
  const tables = await Promise.all(
    names.map(async (name) => {
      const rows = await sql<Row[]>`select * from ${sql(name)} where event_id = ${eventId}`;
      return [name, rows.map(comparable)] as const;
    }),
  );
  const all: Partial<Record<TableName, readonly Row[]>> = Object.fromEntries(tables);
  const {
    passings = [],
    waypoint_results = [],
    zone_episodes = [],
    incidents = [],
    stage_results = [],
    classification = [],
  } = all;
  return sorted({ passings, waypoint_results, zone_episodes, incidents, stage_results, classification });
}

function sorted(results: Results): Results {
  return {
    passings: byKey(results.passings),
    waypoint_results: byKey(results.waypoint_results),
    zone_episodes: byKey(results.zone_episodes),
    incidents: byKey(results.incidents),
    stage_results: byKey(results.stage_results),
    classification: byKey(results.classification),
  };
}

function byKey(rows: readonly Row[]): readonly Row[] {
  return rows.toSorted((a, b) => (String(a['key']) < String(b['key']) ? -1 : 1));
}

/** Times as milliseconds, without that of the computation. */
function comparable(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([name]) => name !== 'computed_at')
      .map(([name, value]) => [name, value instanceof Date ? value.getTime() : value]),
  );
}

function hdopOf(attributes: Row): number | undefined {
  const tenths = attributes['182'];
  return typeof tenths === 'number' ? tenths / 10 : undefined;
}
