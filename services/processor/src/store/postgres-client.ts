import { DeadlineError, withDeadline } from '@app/runtime/deadline';
import { sqlState } from '@app/runtime/postgres';
import type postgres from 'postgres';

const readOnly = '25006';

/**
 * The connections to Postgres, replaced as a whole when a statement misses its deadline: retries on the
 * connections of a black-holed client fail one after the other, those of a new client work at once. Replaced as well
 * when a server says that it is read-only: after a failover only a new connection finds the one that may write.
 */
export class PostgresClient {
  readonly #connect: () => postgres.Sql;
  readonly #deadlineMs: number;
  #sql: postgres.Sql;

  constructor(connect: () => postgres.Sql, deadlineMs: number) {
    this.#connect = connect;
    this.#deadlineMs = deadlineMs;
    this.#sql = connect();
  }

  /** The client of the moment: never keep it across an await. */
  get sql(): postgres.Sql {
    return this.#sql;
  }

  /** Rejects with DeadlineError if `query` is not answered within the deadline. */
  async run<T>(query: (sql: postgres.Sql) => PromiseLike<T>): Promise<T> {
    const sql = this.#sql;
    try {
      return await withDeadline(query(sql), this.#deadlineMs, 'Postgres');
    } catch (error) {
      if (error instanceof DeadlineError || sqlState(error) === readOnly) this.#replace(sql);
      throw error;
    }
  }

  /** Ends the connections, waiting `timeoutMs` at the most for statements under way. */
  async end(timeoutMs: number): Promise<void> {
    await this.#sql.end({ timeout: timeoutMs / 1000 });
  }

  #replace(stale: postgres.Sql): void {
    // Several statements may miss the deadline of one client; only the first replaces it.
    if (this.#sql !== stale) return;
    this.#sql = this.#connect();
    // Not waited for: its sockets may never answer again.
    stale.end({ timeout: 0 }).catch(() => undefined);
  }
}
