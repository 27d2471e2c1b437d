import type { Sql } from 'postgres';

/** The number of TimescaleDB's chunks in the plans of the statements that `run` sends. */
export async function countPlannedChunks(sql: Sql, run: (sql: Sql) => Promise<unknown>): Promise<number> {
  const plans = await explainStatements(sql, run);
  return new Set(plans.match(/_hyper_\d+_\d+_chunk/gu)).size;
}

/**
 * The plans of the statements that `run` sends by `unsafe`, as after several executions of a prepared statement: without
 * the values of its parameters. `sql` must have one connection.
 */
export async function explainStatements(sql: Sql, run: (sql: Sql) => Promise<unknown>): Promise<string> {
  const sent: { readonly statement: string; readonly parameters: string[] }[] = [];
  // Records what is sent, and sends it.
  const recording = new Proxy(sql, {
    get: (target, name): unknown =>
      name === 'unsafe'
        ? (statement: string, parameters: string[], options?: { readonly prepare?: boolean }) => {
            sent.push({ statement, parameters });
            return target.unsafe(statement, parameters, options);
          }
        : Reflect.get(target, name),
  });
  await run(recording);
  if (sent.length === 0) throw new Error('no statement was sent');
  const plans: string[] = [];
  await sql`set plan_cache_mode = force_generic_plan`;
  for (const { statement, parameters } of sent) {
    plans.push(JSON.stringify(await sql.unsafe(`explain ${statement}`, parameters)));
  }
  await sql`reset plan_cache_mode`;
  return plans.join('\n');
}
