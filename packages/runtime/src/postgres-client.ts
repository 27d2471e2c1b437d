import type postgres from 'postgres';
import { DeadlineError, withDeadline } from './deadline.ts';
import { sqlState } from './postgres-error.ts';
import { findLink, type PostgresLink } from './postgres-link.ts';
import { endPostgres } from './postgres.ts';

const readOnly = '25006';
const endTimeoutMs = 1_000;

/**
 * A connection pool that is replaced as a whole when a statement misses its deadline or fails because the server is
 * read-only. Retrying on the old pool fails: its black-holed connections each have to time out first, and after a
 * failover its connections still lead to the old primary.
 *
 * The first statement is preceded by a check for a pooler; if there is one, the pool is replaced by one for poolers.
 */
export class PostgresClient implements AsyncDisposable {
  readonly #connect: (link: PostgresLink) => postgres.Sql;
  readonly #deadlineMs: number;
  #link: PostgresLink | undefined;
  #finding: Promise<void> | undefined;
  #sql: postgres.Sql;

  constructor(connect: (link: PostgresLink) => postgres.Sql, deadlineMs: number) {
    this.#connect = connect;
    this.#deadlineMs = deadlineMs;
    this.#sql = connect('direct');
  }

  /** Rejects with a DeadlineError naming `operation` if `query` does not settle within the deadline. */
  async run<T>(query: (sql: postgres.Sql) => PromiseLike<T>, operation = 'Postgres statement'): Promise<T> {
    if (this.#link === undefined) {
      // Once for all statements that wait for it: they all need the pool that follows.
      this.#finding ??= this.#findLink().finally(() => (this.#finding = undefined));
      await this.#finding;
    }
    return this.#run(query, operation);
  }

  async #run<T>(query: (sql: postgres.Sql) => PromiseLike<T>, operation: string): Promise<T> {
    const sql = this.#sql;
    try {
      return await withDeadline(query(sql), this.#deadlineMs, operation);
    } catch (error) {
      if (error instanceof DeadlineError || sqlState(error) === readOnly) this.#replace(sql);
      throw error;
    }
  }

  async #findLink(): Promise<void> {
    const sql = this.#sql;
    const link = await this.#run(findLink, 'check for a pooler');
    this.#link = link;
    if (link === 'pooled') this.#replace(sql);
  }

  /** Ends the pool; running statements get one second to finish. */
  async [Symbol.asyncDispose](): Promise<void> {
    await endPostgres(this.#sql, { timeoutMs: endTimeoutMs });
  }

  #replace(stale: postgres.Sql): void {
    // Several statements may fail on one pool; only the first failure replaces it.
    if (this.#sql !== stale) return;
    this.#sql = this.#connect(this.#link ?? 'direct');
    // Not awaited: its sockets may never answer.
    endPostgres(stale, { timeoutMs: 0 }).catch(() => undefined);
  }
}
