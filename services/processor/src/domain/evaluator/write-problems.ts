import type { CheckedRace } from '@app/race/check-course';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { EventLease } from './event-lease.ts';

export type RaceProblem = CheckedRace['problems'][number];

/** Makes `race_problems` list exactly these problems of the event. Changes nothing once the lease is lost. */
export async function writeProblems(
  postgres: PostgresClient,
  { eventId, holder, epoch }: EventLease,
  problems: readonly RaceProblem[],
): Promise<void> {
  const rows = problems.map(({ collection, id, message, isRefused }) => ({
    collection,
    row_id: id,
    message: storable(message),
    is_refused: isRefused,
  }));
  await postgres.run(
    (sql) => sql.unsafe(statement, [eventId, holder, epoch, JSON.stringify(rows)]),
    'writing problems of a race',
  );
}

/** Without half a character, where a value was shortened, and without NUL, which JSON columns may contain and text may not. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

const statement = `
  with held as materialized (
    select event_id from evaluations
     where event_id = $1::uuid and holder = $2 and epoch = $3::bigint
       for share
  ), found as materialized (
    select distinct held.event_id, row.collection, row.row_id, row.message, row.is_refused
      from held cross join lateral json_to_recordset($4::text::json)
           as row (collection text, row_id uuid, message text, is_refused boolean)
  ), solved as (
    delete from race_problems as target using held
     where target.event_id = held.event_id
       and not exists (
         select from found
          where found.collection = target.collection and found.row_id = target.row_id
            and found.message = target.message)
  )
  insert into race_problems (event_id, collection, row_id, message, is_refused)
  select event_id, collection, row_id, message, is_refused from found
  on conflict (event_id, collection, row_id, md5(message)) do nothing`;
