import type { TransactionSql } from 'postgres';
import { type Cell, csvRecord } from './csv.ts';
import type { ExportedRace } from './exported-race.ts';
import { readRows } from './read-rows.ts';
import type { OutputFile } from './write-output.ts';

/** For Excel, which takes a file without it for one of its own code page. */
const byteOrderMark = '\uFEFF';

/** Of a table: its rows with the names of stage, gate and entry. An entry that is gone has its id as number. */
interface CsvTable {
  readonly table: 'classification' | 'stage_results' | 'passings';
  /** Expressions by column. */
  readonly columns: Readonly<Record<string, string>>;
  readonly orderBy: string;
}

const entry = {
  number: `coalesce(nullif(entries.number::text, ''), entries.name, result.entry_id::text)`,
  crew: 'entries.crew',
  class: 'entries.class',
};
const seconds = (column: string): string => `result.${column} / 1000`;

const csvTables: readonly CsvTable[] = [
  {
    table: 'classification',
    columns: {
      stage: `coalesce(stages.name, case when result.stage_id is null then 'overall' end, result.stage_id::text)`,
      list_order: 'result.list_order',
      place: 'result.place',
      class_place: 'result.class_place',
      ...entry,
      status: 'result.status',
      stages_finished: 'result.stages_finished',
      total_s: seconds('total_ms'),
      gap_s: seconds('gap_ms'),
      is_derived: 'result.is_derived',
      is_decided: 'result.is_decided',
    },
    orderBy: 'result.stage_id is null, stages.order_number, result.stage_id, result.list_order',
  },
  {
    table: 'stage_results',
    columns: {
      stage: 'coalesce(stages.name, result.stage_id::text)',
      ...entry,
      status: 'result.status',
      start_at: 'result.start_at',
      finish_at: 'result.finish_at',
      elapsed_s: seconds('elapsed_ms'),
      uncertainty_s: seconds('uncertainty_ms'),
      penalty_s: seconds('penalty_ms'),
      total_s: seconds('total_ms'),
      gates_passed: 'result.gates_passed',
      missed_waypoints: 'result.missed_waypoints',
      confidence: 'result.confidence',
      is_derived: 'result.is_derived',
      is_decided: 'result.is_decided',
    },
    orderBy: 'stages.order_number, result.stage_id, entries.start_order, number, result.key',
  },
  {
    table: 'passings',
    columns: {
      stage: 'coalesce(stages.name, result.stage_id::text)',
      gate: 'coalesce(gates.name, result.gate_id::text)',
      ...entry,
      passed_at: 'result.passed_at',
      since_start_s: `round(extract(epoch from result.passed_at - stage_results.start_at) * 1000)::float8 / 1000`,
      uncertainty_s: seconds('uncertainty_ms'),
      verdict: 'result.verdict',
      direction: 'result.direction',
      lap: 'result.lap',
      confidence: 'result.confidence',
      is_decided: 'result.is_decided',
    },
    orderBy: 'stages.order_number, result.stage_id, result.passed_at, result.key',
  },
];

/** `classification.csv`, `stage-results.csv` and `passings.csv`. */
export async function* csvFiles(sql: TransactionSql, exported: ExportedRace): AsyncGenerator<OutputFile> {
  for (const table of csvTables) {
    yield { name: `${table.table.replace('_', '-')}.csv`, parts: readCsv(sql, exported, table) };
  }
}

async function* readCsv(
  sql: TransactionSql,
  { race, stages }: ExportedRace,
  csv: CsvTable,
): AsyncGenerator<string> {
  const names = Object.keys(csv.columns);
  yield byteOrderMark + csvRecord(names);
  const stageIds = stages === undefined ? null : `{${stages.map(({ id }) => id).join(',')}}`;
  const values = [race.event.id, ...(stageIds === null ? [] : [stageIds])];
  const pages = readRows<Readonly<Record<string, Cell>>>(sql, selectOf(csv, stages !== undefined), values);
  for await (const rows of pages) {
    yield rows.map((row) => csvRecord(names.map((name) => row[name] ?? null))).join('');
  }
}

function selectOf({ table, columns, orderBy }: CsvTable, isOfStages: boolean): string {
  const joined =
    table === 'passings'
      ? `left join gates on gates.id = result.gate_id
         left join stage_results on stage_results.event_id = result.event_id
               and stage_results.entry_id = result.entry_id and stage_results.stage_id = result.stage_id`
      : '';
  const selected = Object.entries(columns).map(([name, expression]) => `${expression} as "${name}"`);
  return `
    select ${selected.join(', ')}
      from ${table} as result
      left join stages on stages.id = result.stage_id
      left join entries on entries.id = result.entry_id
      ${joined}
     where result.event_id = $1::uuid ${isOfStages ? 'and result.stage_id = any ($2::text::uuid[])' : ''}
     order by ${orderBy}`;
}
