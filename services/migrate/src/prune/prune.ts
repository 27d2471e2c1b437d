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
  readonly what: 'chunks' | 'rows';
  readonly count: number;
  /** False if the time was up. */
  readonly isDone: boolean;
}

const logIntervalMs = 60_000;

/**
 * Deletes the positions that are older than `keepDays` in short transactions: chunks of a hypertable, rows of a plain
 * table. Repeats nothing after an error; a later run continues.
 */
export async function prune(client: Client, options: PruneOptions): Promise<Pruned> {
  const { keepDays, maxMs, signal, log, maxRows = 5_000, maxChunks = 20, pauseMs = 100 } = options;
  const endMs = performance.now() + maxMs;
  let nextLogMs = performance.now() + logIntervalMs;
  let count = 0;
  let after: string | null = '';
  const step = async (): Promise<Pruned['what']> => {
    const chunks = await client.query<{ dropped: number | null }>(
      'select drop_old_chunks(make_interval(days => $1), $2) as dropped',
      [keepDays, maxChunks],
    );
    const dropped = chunks.rows[0]?.dropped ?? null;
    if (dropped !== null) {
      count += dropped;
      if (dropped === 0) after = null;
      return 'chunks';
    }
    const { rows } = await client.query<{ deleted: number; next_device: string | null }>(
      'select deleted, next_device from delete_old_positions(make_interval(days => $1), $2, $3)',
      [keepDays, after, maxRows],
    );
    count += rows[0]?.deleted ?? 0;
    after = rows[0]?.next_device ?? null;
    return 'rows';
  };
  for (;;) {
    const what = await step();
    const isDone = after === null;
    const nowMs = performance.now();
    if (isDone || nowMs >= endMs) return { what, count, isDone };
    if (nowMs >= nextLogMs) {
      log(`${count} ${what} deleted so far`);
      nextLogMs = nowMs + logIntervalMs;
    }
    await delay(pauseMs, signal);
  }
}
