import { delay } from '@app/runtime/retry';
import type { Client } from 'pg';

export interface PruneOptions {
  readonly keepDays: number;
  /** Time after which no further step begins. */
  readonly maxMs: number;
  readonly signal: AbortSignal;
  /** Called with the progress, one line each. */
  readonly log: (line: string) => void;
  /** Rows of a step. Default 5 000: some 50 ms, in which an insert of the same page waits. */
  readonly maxRows?: number;
  /** Chunks of a step. Default 20: some 200 locks, of the 6 400 that a server has by default. */
  readonly maxChunks?: number;
  /** Wait between two steps, for autovacuum and replicas. Default 100. */
  readonly pauseMs?: number;
}

export interface Pruned {
  /** What was deleted of `positions`. */
  readonly what: 'chunks' | 'rows';
  readonly count: number;
  /** Deleted rows of `positions_past_limit`. */
  readonly pastLimitRows: number;
  /** False if the time was up. */
  readonly isDone: boolean;
}

const logIntervalMs = 60_000;

/**
 * Deletes the positions that are older than `keepDays` in short transactions: chunks of a hypertable, rows of a plain
 * table; then those that were stored in `positions_past_limit` before that. Repeats nothing after an error; a later run continues.
 */
export async function prune(client: Client, options: PruneOptions): Promise<Pruned> {
  const { keepDays, maxMs, signal, log, maxRows = 5_000, maxChunks = 20, pauseMs = 100 } = options;
  const endMs = performance.now() + maxMs;
  let nextLogMs = performance.now() + logIntervalMs;
  let what: Pruned['what'] = 'rows';
  let count = 0;
  let pastLimitRows = 0;
  let after: string | null = '';
  const deletePositions = async (): Promise<void> => {
    const chunks = await client.query<{ dropped: number | null }>(
      'select drop_old_chunks(make_interval(days => $1), $2) as dropped',
      [keepDays, maxChunks],
    );
    const dropped = chunks.rows[0]?.dropped ?? null;
    if (dropped !== null) {
      what = 'chunks';
      count += dropped;
      if (dropped === 0) after = null;
      return;
    }
    const { rows } = await client.query<{ deleted: number; next_device: string | null }>(
      'select deleted, next_device from delete_old_positions(make_interval(days => $1), $2, $3)',
      [keepDays, after, maxRows],
    );
    count += rows[0]?.deleted ?? 0;
    after = rows[0]?.next_device ?? null;
  };
  /** Returns whether these were the last. */
  const deletePastLimit = async (): Promise<boolean> => {
    const { rows } = await client.query<{ deleted: number }>(
      'select delete_old_positions_past_limit(make_interval(days => $1), $2) as deleted',
      [keepDays, maxRows],
    );
    const deleted = rows[0]?.deleted ?? 0;
    pastLimitRows += deleted;
    return deleted < maxRows;
  };
  for (;;) {
    let isDone = false;
    if (after === null) isDone = await deletePastLimit();
    else await deletePositions();
    const nowMs = performance.now();
    if (isDone || nowMs >= endMs) return { what, count, pastLimitRows, isDone };
    if (nowMs >= nextLogMs) {
      log(`${count} ${what} of positions and ${pastLimitRows} rows of positions_past_limit deleted so far`);
      nextLogMs = nowMs + logIntervalMs;
    }
    await delay(pauseMs, signal);
  }
}
