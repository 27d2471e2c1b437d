import type postgres from 'postgres';
import { refusesStartupParameter } from './postgres-error.ts';

/** Whether connections lead to Postgres itself, or to a pooler such as PgBouncer, which may share server connections. */
export type PostgresLink = 'direct' | 'pooled';

/**
 * Connects and tells which it is. A pooler answers the login with a process id of its own, not the server's, and
 * PgBouncer refuses a parameter that it does not track, unless it is configured to ignore it.
 */
export async function findLink(sql: postgres.Sql): Promise<PostgresLink> {
  try {
    const rows = await sql.unsafe<{ pid: number }[]>('select pg_backend_pid() as pid');
    return rows[0]?.pid === rows.state.pid ? 'direct' : 'pooled';
  } catch (error) {
    if (refusesStartupParameter(error, 'statement_timeout')) return 'pooled';
    throw error;
  }
}
