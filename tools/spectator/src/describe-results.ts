import type { ResultRow, ResultTables } from '@app/live-client';
import type { RaceNames } from './read-names.ts';

const shownRows = 20;
const head = ['', 'no.', 'crew', 'vehicle', 'stage', 'time', 'penalty', 'gap'];
/** The columns with places and times. */
const rightAligned: ReadonlySet<number> = new Set([0, 5, 6, 7]);

/**
 * The overall classification as a table for a terminal, and open incidents, if the viewer may see them.
 *
 * @returns lines; none if there is no classification
 */
export function describeResults(tables: ResultTables, names: RaceNames): readonly string[] {
  const rowsOf = (table: string): readonly ResultRow[] => [...(tables.get(table)?.values() ?? [])];
  const states = new Map(rowsOf('vehicle_states').map((row) => [text(row['entry_id']), row]));
  const stages = Map.groupBy(rowsOf('stage_results'), (row) => text(row['entry_id']));
  const overall = rowsOf('classification')
    .filter((row) => (row['stage_id'] ?? null) === null)
    .toSorted((a, b) => number(a['list_order']) - number(b['list_order']));
  if (overall.length === 0) return [];
  const cells = overall.slice(0, shownRows).map((row) => {
    const id = text(row['entry_id']);
    const ofEntry = stages.get(id) ?? [];
    const entry = names.entries.get(id);
    return [
      text(row['place']),
      entry?.number ?? id.slice(0, 8),
      entry?.crew ?? '',
      text(states.get(id)?.['state']),
      describeStage(ofEntry, names),
      time(row['total_ms']),
      time(sum(ofEntry.map((stage) => number(stage['penalty_ms'])))),
      number(row['gap_ms']) === 0 ? '' : `+${time(row['gap_ms'])}`,
    ];
  });
  const more = overall.length - cells.length;
  return [
    ...alignColumns([head, ...cells]),
    ...(more > 0 ? [`and ${more} more`] : []),
    ...rowsOf('incidents')
      .filter((row) => row['is_open'] === true)
      .map((row) => describeIncident(row, names)),
  ];
}

/** The stage that the entry is on, else the last one that it has finished or is out on. */
function describeStage(rows: readonly ResultRow[], { stages }: RaceNames): string {
  const orderOf = (row: ResultRow) => stages.get(text(row['stage_id']))?.order ?? 0;
  const begun = rows
    .filter((row) => row['status'] !== 'not_started')
    .toSorted((a, b) => orderOf(a) - orderOf(b));
  const row = begun.find(({ status }) => status === 'on_stage') ?? begun.at(-1);
  if (row === undefined) return 'not started';
  const name = stages.get(text(row['stage_id']))?.name ?? '';
  const km = row['status'] === 'on_stage' ? ` ${(number(row['progress_m']) / 1000).toFixed(1)} km` : '';
  return `${name} ${text(row['status']).replace('_', ' ')}${km}`.trim();
}

function describeIncident(row: ResultRow, { entries }: RaceNames): string {
  const entry = entries.get(text(row['entry_id']));
  const what = row['rule'] === 'sos' ? 'SOS' : 'stopped';
  const since = new Date(number(row['from_at'])).toISOString().slice(11, 19);
  const place = `${number(row['latitude']).toFixed(5)} ${number(row['longitude']).toFixed(5)}`;
  const doubt = row['is_position_good'] === false ? ', which is not certain' : '';
  return `${what}: no. ${entry?.number ?? ''} ${entry?.crew ?? ''} since ${since} at ${place}${doubt}`;
}

function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) =>
        rightAligned.has(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** `1:02:03.400` or `2:03.400`; nothing for 0 or without a time. */
function time(ms: unknown): string {
  if (number(ms) === 0) return '';
  const totalS = Math.floor(number(ms) / 1000);
  const parts = [Math.floor(totalS / 60) % 60, totalS % 60].map((part) => String(part).padStart(2, '0'));
  const hours = Math.floor(totalS / 3600);
  const minutes = hours > 0 ? `${hours}:${parts.join(':')}` : parts.join(':').replace(/^0/u, '');
  return `${minutes}.${String(Math.round(number(ms)) % 1000).padStart(3, '0')}`;
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
