import type postgres from 'postgres';

/** Reports when transactions that insert into a table became visible to other sessions. */
export interface CommitWatch extends AsyncDisposable {
  /** Epoch ms by transaction id, as in a row's `xmin`. */
  readonly committedAtMs: ReadonlyMap<string, number>;
}

/**
 * Postgres delivers a NOTIFY after the transaction has been flushed to disk. The server's commit timestamp
 * (`track_commit_timestamp`) is taken before the flush.
 */
export async function watchCommits(sql: postgres.Sql, table: string): Promise<CommitWatch> {
  const committedAtMs = new Map<string, number>();
  const listening = await sql.listen('bench_commits', (transaction) => {
    committedAtMs.set(transaction, performance.timeOrigin + performance.now());
  });
  await sql.unsafe(`
    create or replace function bench_notify_commit() returns trigger language plpgsql as $$ begin
      perform pg_notify('bench_commits', pg_current_xact_id()::xid::text);
      return null;
    end $$;
    create trigger bench_commits after insert on ${table} for each statement execute function bench_notify_commit()`);
  return {
    committedAtMs,
    [Symbol.asyncDispose]: async () => {
      await sql.unsafe(`drop trigger bench_commits on ${table}`);
      await listening.unlisten();
    },
  };
}
