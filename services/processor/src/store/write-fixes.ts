import { DeadlineError } from '@app/runtime/deadline';
import type { Logger } from '@app/runtime/log';
import { classifyPostgresError, sqlState } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { retry } from '@app/runtime/retry';
import pLimit, { type LimitFunction } from 'p-limit';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';
import type { Fix, Rejected } from '../fix.ts';
import { type DuplicateKey, isExactDuplicate, sortByKey } from './duplicate-keys.ts';
import { findDifferent, insertPositions } from './insert-positions.ts';
import { assertFewRefusedDevices, refuseRow } from './refuse-row.ts';
import { RetryState, type WriteRetries } from './retry-state.ts';

/** The result of a batch: every fix is either durable or refused. */
export interface WrittenFixes {
  /** Stored fixes in reading order: inserted, duplicate, or conflicting (the key is stored, with other content). */
  readonly durable: readonly Fix[];
  /** Durable fixes whose key is stored with different content; dead-lettered as `same_time`, and still passed on. */
  readonly conflicting: readonly Fix[];
  /** Rows that Postgres refuses because of their values. */
  readonly refused: readonly Rejected[];
}

export const maxRetryDelayMs = 15_000;
const firstRetryDelayMs = 50;
const statementTimeout = '57014';

export interface WriterOptions {
  readonly postgres: PostgresClient;
  /** Maximum batches written at the same time. */
  readonly concurrency: number;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Called when a retry begins. */
  readonly onRetry: () => void;
}

/** Ends a write early, and reports its waits. */
export interface WriteControl {
  readonly abandon: AbortSignal;
  /** Called before each wait for Postgres. */
  readonly onWait?: (() => void) | undefined;
}

type PickRows = (sql: postgres.Sql, rows: readonly Fix[]) => Promise<readonly number[]>;

/**
 * Writes batches of fixes. A transient error is retried as long as it lasts; a data error is bisected to its row and the
 * rest is stored. Any other error (a missing table, a wrong password) is fatal and thrown: dead-lettering would
 * empty the stream.
 */
export class FixWriter {
  readonly #options: WriterOptions;
  readonly #limit: LimitFunction;
  readonly #retries: RetryState;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#limit = pLimit(options.concurrency);
    this.#retries = new RetryState(options.log);
  }

  /** Whether a write is being retried: nothing more may be read, and the process is not ready. */
  get isRetrying(): boolean {
    return this.#retries.isRetrying;
  }

  /** Resolves when no write is being retried. */
  async whenNotRetrying(): Promise<void> {
    return this.#retries.whenNotRetrying();
  }

  /** Rejects with Postgres' error if it is fatal, or with the reason of `abandon` once that aborts. */
  async write(
    fixes: readonly Fix[],
    abandon: AbortSignal,
    onWait?: WriteControl['onWait'],
  ): Promise<WrittenFixes> {
    return this.#limit(() => this.#write(fixes, { abandon, onWait }));
  }

  async #write(fixes: readonly Fix[], control: WriteControl): Promise<WrittenFixes> {
    const refused: Rejected[] = [];
    /** Keys that are in the table, with content yet to be compared. */
    const existing: Fix[] = [];
    const exactDuplicates: DuplicateKey[] = [];
    let { unique, duplicates } = sortByKey(fixes);
    while (unique.length > 0) {
      existing.push(...(await this.#bisect(insertPositions, unique, refused, control)));
      const isRefused = isIn(refused);
      const stored = Map.groupBy(duplicates, (each) =>
        isRefused(each.first) ? 'not' : isExactDuplicate(each) ? 'exactly' : 'differently',
      );
      // Trackers often send a record twice: an exact duplicate has the result of the first, without a comparison.
      exactDuplicates.push(...(stored.get('exactly') ?? []));
      existing.push(...(stored.get('differently') ?? []).map(({ fix }) => fix));
      // If the first fix of a key was refused, the key is not in the table, and the next fix is inserted instead.
      ({ unique, duplicates } = sortByKey((stored.get('not') ?? []).map(({ fix }) => fix)));
    }
    const different = new Set(await this.#bisect(findDifferent, existing, refused, control));
    const duplicatesOfDifferent = exactDuplicates.filter(({ first }) => different.has(first));
    const conflicting = [...different, ...duplicatesOfDifferent.map(({ fix }) => fix)];
    const notInserted = existing.length + exactDuplicates.length;
    const { positionWrites } = this.#options.metrics;
    positionWrites.inc({ status: 'inserted' }, fixes.length - notInserted - refused.length);
    positionWrites.inc({ status: 'duplicate' }, notInserted - conflicting.length);
    positionWrites.inc({ status: 'conflicting' }, conflicting.length);
    positionWrites.inc({ status: 'rejected' }, refused.length);
    const isRefused = isIn(refused);
    return { durable: fixes.filter((fix) => !isRefused(fix)), conflicting, refused };
  }

  /**
   * Runs a statement that picks some of its rows, and returns these. A data error halves the rows until the row that
   * causes it is found, in O(k log n) statements for k such rows; these are added to `refused`.
   */
  async #bisect(
    statement: PickRows,
    rows: readonly Fix[],
    refused: Rejected[],
    control: WriteControl,
  ): Promise<readonly Fix[]> {
    const [first] = rows;
    if (first === undefined) return [];
    try {
      const picked = await this.#run((sql) => statement(sql, rows), control, rows.length);
      return picked.flatMap((index) => rows[index] ?? []);
    } catch (error) {
      const isSlow = isTooSlow(error, rows.length);
      if (!isSlow && classifyPostgresError(error) !== 'data') throw error;
      if (rows.length === 1) {
        refused.push(refuseRow(first, error));
        assertFewRefusedDevices(refused, error);
        return [];
      }
      // Behind a table lock every half times out as well, for minutes in all, so this counts as a retry.
      using retrying = isSlow ? this.#beginRetrying(error, rows.length) : undefined;
      const middle = rows.length >> 1;
      const left = await this.#bisect(statement, rows.slice(0, middle), refused, control);
      const right = await this.#bisect(statement, rows.slice(middle), refused, control);
      retrying?.succeed();
      return [...left, ...right];
    }
  }

  /** Runs another statement of the same loop, retried like an insert. */
  async run<T>(statement: (sql: postgres.Sql) => Promise<T>, abandon: AbortSignal): Promise<T> {
    return this.#run(statement, { abandon }, 1);
  }

  /**
   * Runs a statement until it succeeds or fails with an error that is not transient. A statement over several rows that
   * timed out is not retried: the caller halves it.
   */
  async #run<T>(
    statement: (sql: postgres.Sql) => Promise<T>,
    { abandon, onWait }: WriteControl,
    rowCount: number,
  ): Promise<T> {
    const { postgres: client, metrics } = this.#options;
    using stack = new DisposableStack();
    let retrying: WriteRetries | undefined;
    const result = await retry(
      async () => {
        const end = metrics.writeDurationSeconds.startTimer();
        try {
          return await client.run(statement);
        } finally {
          end();
        }
      },
      {
        signal: abandon,
        initialDelayMs: firstRetryDelayMs,
        maxDelayMs: maxRetryDelayMs,
        isRetryable: (error) => classifyPostgresError(error) === 'transient' && !isTooSlow(error, rowCount),
        onRetry: (error) => {
          onWait?.();
          if (retrying === undefined) retrying = stack.use(this.#beginRetrying(error, rowCount));
          else this.#countRetry(error);
        },
      },
    );
    retrying?.succeed();
    return result;
  }

  #beginRetrying(cause: unknown, rowCount: number): WriteRetries {
    this.#countRetry(cause);
    return this.#retries.begin(cause, rowCount);
  }

  #countRetry(cause: unknown): void {
    const { metrics, onRetry } = this.#options;
    metrics.writeRetries.inc({ class: retryClass(cause) });
    onRetry();
  }
}

function isIn(refused: readonly Rejected[]): (fix: Fix) => boolean {
  // The usual case, without a look-up per fix.
  if (refused.length === 0) return () => false;
  const ids = new Set(refused.map(({ entry }) => entry.id));
  return ({ entry }) => ids.has(entry.id);
}

function isTooSlow(error: unknown, rowCount: number): boolean {
  return sqlState(error) === statementTimeout && rowCount > 1;
}

function retryClass(error: unknown): string {
  if (error instanceof DeadlineError) return 'deadline';
  return sqlState(error)?.slice(0, 2) ?? 'connection';
}
