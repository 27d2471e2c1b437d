import type postgres from 'postgres';

/** To load into a process before its own code: shifts its clock by `SHIFT_DATE_MS`. */
export const shiftDate = new URL('./shift-date.ts', import.meta.url);

/**
 * Shifts the clock that new connections to this database read with `clock_timestamp()`.
 *
 * With the process's clock shifted alike (`shiftDate`), Redis is the one whose clock is wrong.
 */
export async function shiftPostgresClock(sql: postgres.Sql, ms: number): Promise<void> {
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  await sql.unsafe(`
    create schema if not exists shifted;
    create or replace function shifted.clock_timestamp() returns timestamptz language sql
      as $$ select pg_catalog.clock_timestamp() + interval '${ms} milliseconds' $$;
    grant usage on schema shifted to public;
    alter database "${row?.name ?? ''}" set search_path = shifted, pg_catalog, public`);
}
