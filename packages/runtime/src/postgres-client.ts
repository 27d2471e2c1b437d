import type postgres from 'postgres';
import { DeadlineError, withDeadline } from './deadline.ts';
import { sqlState } from './postgres-error.ts';
import { endPostgres } from './postgres.ts';

const readOnly = '25006';
const endTimeoutMs = 1_000;

/**
 * A connection pool that is replaced as a whole when a statement misses its deadline or fails because the server is
 * read-only. Retrying on the old pool fails: its black-holed connections each have to time out first, and after a
 * failover its connections still lead to the old primary.
 */
export class PostgresClient implements AsyncDisposable {
  readonly #connect: () => postgres.Sql;
  readonly #deadlineMs: number;
  #sql: postgres.Sql;

  constructor(connect: () => postgres.Sql, deadlineMs: number) {
    this.#connect = connect;
    this.#deadlineMs = deadlineMs;
    this.#sql = connect();
  }

  /** The current pool. Do not keep it across an await: it may have been replaced. */
  get sql(): postgres.Sql {
    return this.#sql;
  }

  /** Rejects with a DeadlineError naming `operation` if `query` does not settle within the deadline. */
  async run<T>(query: (sql: postgres.Sql) => PromiseLike<T>, operation = 'Postgres statement'): Promise<T> {
    const sql = this.#sql;
    try {
      return await withDeadline(query(sql), this.#deadlineMs, operation);
    } catch (error) {
      if (error instanceof DeadlineError || sqlState(error) === readOnly) this.#replace(sql);
      throw error;
    }
  }

  /** Ends the pool; running statements get one second to finish. */
  async [Symbol.asyncDispose](): Promise<void> {
    await endPostgres(this.#sql, { timeoutMs: endTimeoutMs });
  }

  #replace(stale: postgres.Sql): void {
    // Several statements may fail on one pool; only the first failure replaces it.
    if (this.#sql !== stale) return;
    this.#sql = this.#connect();
    // Not awaited: its sockets may never answer.
    endPostgres(stale, { timeoutMs: 0 }).catch(() => undefined);
  }
}
