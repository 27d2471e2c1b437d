import { densify } from '@app/runtime/postgres';
import type { ISql } from 'postgres';
import { raceColumns } from './race-columns.ts';
import type { Row } from './read-row.ts';

/** One event's rows as Directus has them: times are epoch milliseconds, and `json` is parsed. */
export interface RaceRows {
  readonly event: Row | null;
  readonly stages: readonly Row[];
  readonly gates: readonly Row[];
  readonly waypoints: readonly Row[];
  readonly zones: readonly Row[];
  readonly entries: readonly Row[];
  /** With the device's `imei`. */
  readonly assignments: readonly Row[];
  readonly decisions: readonly Row[];
}

/**
 * Reads the rows of one event, without archived ones, by one statement, so that they are of one moment. Rejects with
 * postgres.js' errors, also if a table or a column is missing or may not be read.
 */
export async function selectRace(sql: ISql, eventId: string): Promise<RaceRows | undefined> {
  const columns = await sql<{ table: string }[]>`
    select attrelid::regclass::text as "table" from pg_attribute
     where attname = 'status' and not attisdropped and has_column_privilege(attrelid, attnum, 'select')
       and attrelid in (to_regclass('stages'), to_regclass('entries'), to_regclass('entry_devices'),
                        to_regclass('devices'))`;
  const withStatus = densify(columns).map(({ table }) => table);
  // Not a template: behind a pooler those have no parts.
  const [rows] = densify(await sql.unsafe<RaceRows[]>(raceStatement(withStatus), [eventId]));
  return rows;
}

/** The optional column `status` says which rows are archived, as for the live map. */
function raceStatement(withStatus: readonly string[]): string {
  const isShown = (table: string): string =>
    withStatus.includes(table) ? `and ${table}.status::text is distinct from 'archived'` : '';
  return `
    with event as (
      select ${listColumns('events')} from events where id = $1::uuid
    ), stage as (
      select ${listColumns('stages')} from stages where event_id = $1::uuid ${isShown('stages')}
    ), gate as (
      select ${listColumns('gates')} from gates where stage_id in (select id from stage)
    ), waypoint as (
      select ${listColumns('waypoints')} from waypoints where stage_id in (select id from stage)
    ), zone as (
      select ${listColumns('zones')} from zones where stage_id in (select id from stage)
    ), entry as (
      select ${listColumns('entries')} from entries where event_id = $1::uuid ${isShown('entries')}
    ), assignment as (
      select ${listColumns('entry_devices')}, devices.imei
        from entry_devices left join devices on devices.id = entry_devices.device_id
       where entry_id in (select id from entry) ${isShown('entry_devices')} ${isShown('devices')}
    ), decision as (
      select ${listColumns('decisions')} from decisions where entry_id in (select id from entry)
    )
    select (select row_to_json(event) from event) as event, ${listRows('stage', 'stages')},
           ${listRows('gate', 'gates')}, ${listRows('waypoint', 'waypoints')}, ${listRows('zone', 'zones')},
           ${listRows('entry', 'entries')}, ${listRows('assignment', 'assignments')},
           ${listRows('decision', 'decisions')}`;
}

function listColumns(table: keyof typeof raceColumns): string {
  return raceColumns[table]
    .map((column) => {
      const isTime = /(?:^|_)at$/u.test(column);
      return isTime
        ? `round(extract(epoch from ${table}.${column}) * 1000) as ${column}`
        : `${table}.${column}`;
    })
    .join(', ');
}

function listRows(rows: string, name: string): string {
  return `(select coalesce(json_agg(${rows} order by id), '[]') from ${rows}) as ${name}`;
}
