import { DeadlineError, withDeadline } from '@app/runtime/deadline';
import { endPostgres } from '@app/runtime/postgres';
import type { Sql } from 'postgres';

/**
 * Postgres as something to ask questions, each with a deadline. A server that swallows bytes would hold a connection
 * for a quarter of an hour, so the client whose question missed its deadline is thrown away.
 */
export class PostgresSource implements AsyncDisposable {
  readonly #connect: () => Sql;
  readonly #deadlineMs: number;
  #sql: Sql;

  constructor(connect: () => Sql, deadlineMs: number) {
    this.#connect = connect;
    this.#deadlineMs = deadlineMs;
    this.#sql = connect();
  }

  /** @param what is being asked, for the message of a missed deadline. */
  async ask<T>(what: string, question: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = this.#sql;
    try {
      return await withDeadline(question(sql), this.#deadlineMs, what);
    } catch (error) {
      if (error instanceof DeadlineError && this.#sql === sql) {
        this.#sql = this.#connect();
        // Its connections are cut, not waited for.
        void endPostgres(sql, { timeoutMs: 0 });
      }
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endPostgres(this.#sql, { timeoutMs: 1_000 });
  }
}
