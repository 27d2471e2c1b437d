import type { Sql } from 'postgres';

/**
 * Lets the database run `sqlBody` (PL/pgSQL) for each row that a statement of this kind reads: `look-up` for device states.
 * Rows are still inserted.
 */
export async function disturbLookUps(sql: Sql, sqlBody: string): Promise<void> {
  await sql.unsafe(`
    create function disturb() returns boolean volatile language plpgsql as $$
    begin
      if current_query() like '%as wanted%' then ${sqlBody} end if;
      return true;
    end $$`);
  await sql`alter table positions rename to undisturbed`;
  await sql`create view positions as select * from undisturbed where disturb()`;
}

/** Undoes `disturbLookUps`. */
export async function stopDisturbing(sql: Sql): Promise<void> {
  await sql`drop view positions`;
  await sql`alter table undisturbed rename to positions`;
  await sql`drop function disturb`;
}
