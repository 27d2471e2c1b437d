import { densify } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';

/**
 * What `faulty_changes` holds of each device, as a string that differs after every further mark. Ids alone do not tell: a
 * transaction with a smaller one may commit later.
 */
export async function readFaultyChanges(
  postgres: PostgresClient,
  deviceIds: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const rows = densify(
    await postgres.run(
      (sql) =>
        sql.unsafe<{ deviceId: string; seen: string }[]>(
          `select device_id as "deviceId", max(id) || '/' || count(*) as seen from faulty_changes
            where device_id in (select json_array_elements_text($1::text::json))
            group by device_id`,
          [JSON.stringify([...deviceIds])],
        ),
      'reading marks of fixes as faulty',
    ),
  );
  return new Map(rows.map(({ deviceId, seen }) => [deviceId, seen]));
}

/** Rows that every evaluator has seen. For the devices concerned this is one more observation, and no more. */
export async function deleteOldFaultyChanges(postgres: PostgresClient): Promise<void> {
  await postgres.run(
    (sql) => sql.unsafe(`delete from faulty_changes where changed_at < now() - interval '1 day'`),
    'deleting old marks of fixes as faulty',
  );
}
