import { densify } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { type EventLease, LeaseLostError } from './event-lease.ts';
import {
  type ResultTable,
  resultTables,
  type ResultTableName,
  type RowsByTable,
  type TableRow,
} from './result-tables.ts';
import { type Revision, revisionColumns } from './revision.ts';

const tables: readonly (ResultTable & { readonly name: ResultTableName })[] = Object.values(resultTables);

/** Their rows are always compared for all entries. */
const wholeTables: ReadonlySet<ResultTableName> = new Set([
  'stage_results',
  'classification',
  'vehicle_states',
]);

/** The content of each row as JSON, by table and key. */
export type KnownRows = ReadonlyMap<ResultTableName, Map<string, string>>;

/** What differs from a table: rows to insert or update, and keys of rows to delete. */
interface TableChanges {
  readonly rows: readonly TableRow[];
  readonly gone: readonly string[];
}

export type ResultChanges = Readonly<Record<ResultTableName, TableChanges>>;

/** What the tables hold of an event. */
export async function readResults(postgres: PostgresClient, eventId: string): Promise<KnownRows> {
  const known = new Map<ResultTableName, Map<string, string>>();
  for (const table of tables) {
    const columns = Object.entries(table.columns).map(([name, type]) =>
      type === 'time' ? `round(extract(epoch from ${name}) * 1000)::float8 as ${name}` : name,
    );
    const rows = densify(
      await postgres.run(
        (sql) =>
          sql.unsafe<TableRow[]>(
            `select ${columns.join(', ')} from ${table.name} where event_id = $1::uuid`,
            [eventId],
          ),
        `reading ${table.name}`,
      ),
    );
    known.set(table.name, new Map(rows.map((row) => [String(row['key']), contentOf(table.name, row)])));
  }
  return known;
}

/**
 * Compares an event's rows with those of the tables. Undefined if nothing has changed.
 *
 * @param isLeftOut entries whose rows, other than those of the tables that are given whole, are not among the results and stay
 */
export function findChanges(
  results: RowsByTable,
  known: KnownRows,
  isLeftOut: (entryId: string) => boolean,
): ResultChanges | undefined {
  let isChanged = false;
  const changesOf = (name: ResultTableName): TableChanges => {
    const changes = findTableChanges(
      name,
      results[name],
      known,
      wholeTables.has(name) ? undefined : isLeftOut,
    );
    isChanged ||= changes !== undefined;
    return changes ?? { rows: [], gone: [] };
  };
  const changes = {
    passings: changesOf('passings'),
    waypoint_results: changesOf('waypoint_results'),
    zone_episodes: changesOf('zone_episodes'),
    incidents: changesOf('incidents'),
    stage_results: changesOf('stage_results'),
    classification: changesOf('classification'),
    vehicle_states: changesOf('vehicle_states'),
  };
  return isChanged ? changes : undefined;
}

export function findTableChanges(
  name: ResultTableName,
  rows: readonly TableRow[],
  known: KnownRows,
  isLeftOut: (entryId: string) => boolean = () => false,
): TableChanges | undefined {
  const before = known.get(name) ?? new Map<string, string>();
  const keys = new Set(rows.map((row) => String(row['key'])));
  const changed = rows.filter((row) => before.get(String(row['key'])) !== contentOf(name, row));
  const gone = [...before.keys()].filter((key) => !keys.has(key) && !isLeftOut(entryIdOfKey(key)));
  return changed.length + gone.length === 0 ? undefined : { rows: changed, gone };
}

/** A row as the tables hold it. */
export function knownRow(known: KnownRows, table: ResultTableName, key: string): TableRow | undefined {
  const content = known.get(table)?.get(key);
  if (content === undefined) return undefined;
  const values: readonly TableRow[string][] = JSON.parse(content);
  return Object.fromEntries(
    Object.keys(resultTables[table].columns).map((column, at) => [column, values[at] ?? null]),
  );
}

/** Notes that the tables hold these changes. */
export function applyChanges(changes: ResultChanges, known: KnownRows): void {
  for (const table of tables) {
    const before = known.get(table.name);
    for (const key of changes[table.name].gone) before?.delete(key);
    for (const row of changes[table.name].rows) before?.set(String(row['key']), contentOf(table.name, row));
  }
}

/**
 * Writes changes with their history by one statement, so all of them or none, and returns the event's new revision. When it
 * rejects, with any error, the changes may be written or not.
 *
 * @param reasons by entry id
 * @throws {LeaseLostError} nothing was written
 */
export async function writeResults(
  postgres: PostgresClient,
  { eventId, holder, epoch }: EventLease,
  changes: ResultChanges,
  reasons: Readonly<Record<string, string>>,
): Promise<Revision> {
  const input = JSON.stringify({ changes, reasons });
  const [row] = densify(
    await postgres.run(
      (sql) => sql.unsafe<Revision[]>(statement, [eventId, holder, epoch, input]),
      'writing results',
    ),
  );
  if (!row) throw new LeaseLostError(`another processor evaluates the event ${eventId}`);
  return row;
}

/** With the columns in one order, and without `-0`. */
function contentOf(table: ResultTableName, row: TableRow): string {
  return JSON.stringify(Object.keys(resultTables[table].columns).map((column) => row[column]));
}

// The update of `evaluations` comes first and waits for another processor that takes the event over; everything else
// depends on the row that it returns. All parts see the tables as they were before the statement.
const statement = `
  with held as materialized (
    update evaluations
       set revision = revision + 1, revised_at = clock_timestamp(), renewed_at = clock_timestamp()
     where event_id = $1::uuid and holder = $2 and epoch = $3::bigint
    returning event_id, revision, revised_at
  ), input as materialized (
    select held.event_id, payload.value -> 'changes' as changes, payload.value -> 'reasons' as reasons
      from held cross join (select $4::text::json as value) as payload
  ), ${tables.flatMap((table) => [upsertOf(table), deleteOf(table)]).join(', ')}, changed as (
    ${tables.flatMap(changedOf).join(' union all ')}
  ), history as (
    insert into result_changes (event_id, entry_id, table_name, key, old_row, new_row, reason)
    select input.event_id, changed.entry_id, changed.table_name, changed.key, changed.old_row, changed.new_row,
           coalesce(input.reasons ->> changed.entry_id::text, 'results of other entries changed')
      from changed cross join input
     where (changed.old_row - changed.volatile) is distinct from (changed.new_row - changed.volatile)
  )
  select ${revisionColumns} from held`;

function upsertOf({ name, columns }: ResultTable): string {
  const names = Object.keys(columns);
  const values = Object.entries(columns).map(([column, type]) =>
    type === 'time' ? `to_timestamp(incoming.${column} / 1000)` : `incoming.${column}`,
  );
  const types = Object.entries(columns).map(
    ([column, type]) => `${column} ${type === 'time' ? 'float8' : type}`,
  );
  return `${name}_set as (
    insert into ${name} as target (${names.join(', ')})
    select ${values.join(', ')}
      from input cross join lateral json_to_recordset(input.changes -> '${name}' -> 'rows')
           as incoming (${types.join(', ')})
    on conflict (key) do update set ${names.map((column) => `${column} = excluded.${column}`).join(', ')},
       computed_at = now()
    returning target.key, target.entry_id, to_jsonb(target) as new_row
  )`;
}

function deleteOf({ name }: ResultTable): string {
  return `${name}_gone as (
    delete from ${name} as target using input
     where target.event_id = input.event_id
       and target.key in (select json_array_elements_text(input.changes -> '${name}' -> 'gone'))
    returning target.key, target.entry_id, to_jsonb(target) as old_row
  )`;
}

function changedOf({ name, volatile }: ResultTable): readonly string[] {
  if (!volatile) return [];
  const ignored = `'{${['computed_at', ...volatile].join(',')}}'::text[]`;
  const changed = `
    select '${name}' as table_name, now_set.key, now_set.entry_id, to_jsonb(before) as old_row, now_set.new_row,
           ${ignored} as volatile
      from ${name}_set as now_set left join ${name} as before on before.key = now_set.key
    union all
    select '${name}', key, entry_id, old_row, null, ${ignored} from ${name}_gone`;
  return [changed];
}

/** See `rowKey` of @app/race/rows. */
export function entryIdOfKey(key: string): string {
  return key.split('/', 2)[1] ?? '';
}
