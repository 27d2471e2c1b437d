import { resultTables } from '@app/processor/evaluator/result-tables';
import type { TransactionSql } from 'postgres';
import type { ExportedRace } from './exported-race.ts';
import { readRows } from './read-rows.ts';

/**
 * One JSON object: the event, names of what ids stand for, and the rows of each table of results with the columns of the
 * table. Times are ISO 8601 in UTC.
 */
export async function* jsonDocument(
  sql: TransactionSql,
  { race, stages }: ExportedRace,
): AsyncGenerator<string> {
  const { event } = race;
  const isExported = (stageId: string): boolean => stages?.some(({ id }) => id === stageId) ?? true;
  const named = {
    stages: race.stages
      .filter(({ id }) => isExported(id))
      .map(({ id, name, order, kind }) => ({ id, name, order, kind })),
    gates: race.gates
      .filter(({ stageId }) => isExported(stageId))
      .map(({ id, name, stageId, order, kind }) => ({ id, name, stage_id: stageId, order, kind })),
    waypoints: race.waypoints
      .filter(({ stageId }) => isExported(stageId))
      .map(({ id, name, stageId, order, kind }) => ({ id, name, stage_id: stageId, order, kind })),
    zones: race.zones
      .filter(({ stageId }) => isExported(stageId))
      .map(({ id, name, stageId, kind }) => ({ id, name, stage_id: stageId, kind })),
    entries: race.entries.map((entry) => ({
      id: entry.id,
      number: entry.number,
      crew: entry.crew,
      class: entry.class,
      start_order: entry.startOrder ?? null,
      start_at: isoTime(entry.startAtMs),
      status: entry.status,
    })),
  };
  const about = {
    id: event.id,
    name: event.name,
    start_at: isoTime(event.startAtMs),
    end_at: isoTime(event.endAtMs),
  };
  yield `{"event": ${JSON.stringify(about)}`;
  const [evaluation] = await sql.unsafe<{ revision: number }[]>(
    'select revision::float8 as revision from evaluations where event_id = $1::uuid',
    [event.id],
  );
  yield `,\n"revision": ${evaluation?.revision ?? 0}`;
  for (const [name, rows] of Object.entries(named)) yield `,\n"${name}": ${JSON.stringify(rows)}`;
  const stageIds = stages && `{${stages.map(({ id }) => id).join(',')}}`;
  for (const { name, columns } of Object.values(resultTables)) {
    // `vehicle_states` is no result.
    if (!('stage_id' in columns)) continue;
    yield* listRows(
      sql,
      { table: name, stage: 'stage_id::text', order: 'key collate "C"' },
      event.id,
      stageIds,
    );
  }
  const ofRow = `coalesce(new_row, old_row) ->> 'stage_id'`;
  yield* listRows(sql, { table: 'result_changes', stage: ofRow, order: 'id' }, event.id, stageIds);
  // Not of a stage: a problem may concern any of them.
  const order = 'since, collection, row_id, message';
  yield* listRows(sql, { table: 'race_problems', stage: undefined, order }, event.id, stageIds);
  yield '\n}\n';
}

async function* listRows(
  sql: TransactionSql,
  {
    table,
    stage,
    order,
  }: { readonly table: string; readonly stage: string | undefined; readonly order: string },
  eventId: string,
  stageIds: string | undefined,
): AsyncGenerator<string> {
  const isOfStages = stage !== undefined && stageIds !== undefined;
  const statement = `
    select row_to_json(result)::text as json from ${table} as result
     where event_id = $1::uuid ${isOfStages ? `and ${stage} = any ($2::text::text[])` : ''}
     order by ${order}`;
  yield `,\n"${table}": [`;
  let separator = '\n';
  for await (const rows of readRows<{ json: string }>(sql, statement, [
    eventId,
    ...(isOfStages ? [stageIds] : []),
  ])) {
    if (rows.length > 0) yield separator + rows.map(({ json }) => json).join(',\n');
    separator = ',\n';
  }
  yield '\n]';
}

function isoTime(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
