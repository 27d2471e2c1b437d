import { DeadlineError } from '@app/runtime/deadline';
import { classifyPostgresError, sqlState } from '@app/runtime/postgres';
import type { Logger } from '@app/runtime/log';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { retry } from '@app/runtime/retry';
import pLimit, { type LimitFunction } from 'p-limit';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';
import type { Fix, Rejected } from '../pipeline/decode-entries.ts';
import { findDifferent, insertPositions } from './insert-positions.ts';

/** What became of a batch: every fix given is either durable or refused. */
export interface WrittenFixes {
  /** In reading order: inserted, stored before, or conflicting. */
  readonly durable: readonly Fix[];
  /** Of the durable ones: the key is in the table with other content. Parked as `same_time`, and still heard. */
  readonly conflicting: readonly Fix[];
  /** Rows that Postgres refuses for what they hold. */
  readonly refused: readonly Rejected[];
}

/** More devices than this with refused rows in one batch is a fault of the schema, not of the devices. */
const refusedDevicesLimit = 10;
const longestRetryMs = 15_000;
const firstRetryMs = 50;
const statementTimeout = '57014';

export interface WriterOptions {
  readonly postgres: PostgresClient;
  /** Batches that are written at the same time. */
  readonly concurrency: number;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Called when a retry begins. */
  readonly onRetry: () => void;
}

/**
 * Writes batches of fixes. A transient error is retried for as long as it lasts; an error of a row is bisected
 * down to it and the rest is stored; any other error is ours (a missing table, a wrong password) and is
 * thrown, for parking would drain the stream into the dead letters.
 */
export class FixWriter {
  readonly #options: WriterOptions;
  readonly #limit: LimitFunction;
  #retrying = 0;
  #notRetrying = Promise.withResolvers<void>();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#limit = pLimit(options.concurrency);
    this.#notRetrying.resolve();
  }

  /** A write is being tried again: nothing more is to be read, and the process is not ready. */
  get isRetrying(): boolean {
    return this.#retrying > 0;
  }

  /** Resolves when no write is being tried again. */
  async whenNotRetrying(): Promise<void> {
    while (this.isRetrying) await this.#notRetrying.promise;
  }

  /**
   * Calls `onWait` before each wait for Postgres. Rejects with the database's error if it is neither transient nor about a row, or with the
   * signal's reason once `abandon` aborts.
   */
  async write(fixes: readonly Fix[], abandon: AbortSignal, onWait?: () => void): Promise<WrittenFixes> {
    return this.#limit(() => this.#write(fixes, abandon, onWait));
  }

  async #write(fixes: readonly Fix[], abandon: AbortSignal, onWait?: () => void): Promise<WrittenFixes> {
    const refused: Rejected[] = [];
    const known: Fix[] = [];
    const echoes: Repeated[] = [];
    let { unique, repeated } = sortByKey(fixes);
    while (unique.length > 0) {
      known.push(...(await this.#bisect(insertPositions, unique, refused, abandon, onWait)));
      const isRefused = isAmong(refused);
      // A key whose first fix was refused is not in the table, so the next fix with it is inserted in its turn.
      const untried = repeated.filter(({ first }) => isRefused(first));
      const stored = repeated.filter(({ first }) => !isRefused(first));
      // Trackers send a record twice: that shares the fate of the first. Any other content is compared with what is
      // in the table by now.
      echoes.push(...stored.filter(isEcho));
      known.push(...stored.filter((each) => !isEcho(each)).map(({ fix }) => fix));
      ({ unique, repeated } = sortByKey(untried.map(({ fix }) => fix)));
    }
    const different = new Set(await this.#bisect(findDifferent, known, refused, abandon, onWait));
    const echoed = echoes.filter(({ first }) => different.has(first)).map(({ fix }) => fix);
    const conflicting = [...different, ...echoed];
    const there = known.length + echoes.length;
    const { positionWrites } = this.#options.metrics;
    positionWrites.inc({ status: 'inserted' }, fixes.length - there - refused.length);
    positionWrites.inc({ status: 'duplicate' }, there - conflicting.length);
    positionWrites.inc({ status: 'conflicting' }, conflicting.length);
    positionWrites.inc({ status: 'rejected' }, refused.length);
    const isRefused = isAmong(refused);
    return { durable: fixes.filter((fix) => !isRefused(fix)), conflicting, refused };
  }

  /**
   * Runs a statement that picks some of the rows it is given, and returns these. A row's error halves the
   * rows until the row is found, in O(k log n) statements for k such rows; they go to `refused`.
   */
  async #bisect(
    statement: (sql: postgres.Sql, rows: readonly Fix[]) => Promise<readonly number[]>,
    rows: readonly Fix[],
    refused: Rejected[],
    abandon: AbortSignal,
    onWait?: () => void,
  ): Promise<readonly Fix[]> {
    const first = rows[0];
    if (first === undefined) return [];
    try {
      const picked = await this.run((sql) => statement(sql, rows), abandon, rows.length, onWait);
      return picked.flatMap((index) => rows[index] ?? []);
    } catch (error) {
      const tookTooLong = isTooSlow(error, rows.length);
      if (!tookTooLong && classifyPostgresError(error) !== 'data') throw error;
      if (rows.length === 1) {
        refused.push(refusal(first, error));
        assertFewDevices(refused, error);
        return [];
      }
      // A lock makes the halves of the halves wait as well, for minutes in all: a retry like any other.
      using retrying = tookTooLong ? this.#beginRetrying(error, rows.length) : undefined;
      const middle = rows.length >> 1;
      const left = await this.#bisect(statement, rows.slice(0, middle), refused, abandon, onWait);
      const right = await this.#bisect(statement, rows.slice(middle), refused, abandon, onWait);
      retrying?.succeed();
      return [...left, ...right];
    }
  }

  /**
   * Runs a statement until it is answered with something other than a transient error. One over several rows
   * that took too long is not run again as it was: the caller halves it.
   */
  async run<T>(
    statement: (sql: postgres.Sql) => Promise<T>,
    abandon: AbortSignal,
    rowCount = 1,
    onWait?: () => void,
  ): Promise<T> {
    const { postgres: client, metrics } = this.#options;
    using stack = new DisposableStack();
    let retrying: Retrying | undefined;
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
        initialDelayMs: firstRetryMs,
        maxDelayMs: longestRetryMs,
        isRetryable: (error) => isTransient(error) && !isTooSlow(error, rowCount),
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

  #beginRetrying(problem: unknown, rowCount: number): Retrying {
    const { log } = this.#options;
    if (this.#retrying === 0) {
      this.#notRetrying = Promise.withResolvers<void>();
      log.warn({ error: problem, rowCount }, 'Postgres did not take a batch; trying again until it does');
    }
    this.#retrying += 1;
    this.#countRetry(problem);
    let hasSucceeded = false;
    return {
      succeed: () => {
        hasSucceeded = true;
      },
      [Symbol.dispose]: () => {
        this.#retrying -= 1;
        if (this.#retrying > 0) return;
        if (hasSucceeded) log.info('Postgres takes batches again');
        this.#notRetrying.resolve();
      },
    };
  }

  #countRetry(problem: unknown): void {
    const { metrics, onRetry } = this.#options;
    metrics.writeRetries.inc({ class: retryClass(problem) });
    onRetry();
  }
}

/** Lasts while a write is being tried again; a write that is given up does not succeed. */
interface Retrying extends Disposable {
  succeed(): void;
}

/** A fix whose key another one had that was read before it. */
interface Repeated {
  readonly fix: Fix;
  readonly first: Fix;
}

/** In key order, each key once; further fixes with a key that is there already come apart, in reading order. */
export function sortByKey(fixes: readonly Fix[]): {
  readonly unique: readonly Fix[];
  readonly repeated: readonly Repeated[];
} {
  const sorted = fixes.toSorted(
    (a, b) =>
      compareTexts(a.position.deviceId, b.position.deviceId) || a.position.fixAtMs - b.position.fixAtMs,
  );
  const unique: Fix[] = [];
  const repeated: Repeated[] = [];
  let first: Fix | undefined;
  for (const fix of sorted) {
    const { deviceId, fixAtMs } = fix.position;
    if (first?.position.deviceId === deviceId && first.position.fixAtMs === fixAtMs) {
      repeated.push({ fix, first });
    } else {
      unique.push(fix);
      first = fix;
    }
  }
  return { unique, repeated };
}

// By code unit, as any order will do as long as all writers use the same one.
function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The same content as the first: of all that Postgres would compare, and attributes in the very same text. */
function isEcho({ fix: { position }, first }: Repeated): boolean {
  return (
    position.latitude === first.position.latitude &&
    position.longitude === first.position.longitude &&
    position.altitudeM === first.position.altitudeM &&
    position.speedKmh === first.position.speedKmh &&
    position.courseDeg === first.position.courseDeg &&
    position.satellites === first.position.satellites &&
    position.priority === first.position.priority &&
    position.attributesJson === first.position.attributesJson
  );
}

function isAmong(refused: readonly Rejected[]): (fix: Fix) => boolean {
  // As it is nearly always: no id has to be looked up.
  if (refused.length === 0) return () => false;
  const ids = new Set(refused.map(({ entry }) => entry.id));
  return ({ entry }) => ids.has(entry.id);
}

function isTooSlow(error: unknown, rowCount: number): boolean {
  return sqlState(error) === statementTimeout && rowCount > 1;
}

function isTransient(error: unknown): boolean {
  return classifyPostgresError(error) === 'transient';
}

function retryClass(error: unknown): string {
  if (error instanceof DeadlineError) return 'deadline';
  return sqlState(error)?.slice(0, 2) ?? 'connection';
}

function refusal(fix: Fix, error: unknown): Rejected {
  const state = sqlState(error);
  return {
    entry: fix.entry,
    reason: 'row_refused',
    // Postgres' message may quote the row, and positions are personal data.
    detail: `Postgres refuses this row (SQLSTATE ${state ?? 'unknown'})`,
    ...(state === undefined ? {} : { sqlState: state }),
    deviceId: fix.position.deviceId,
  };
}

function assertFewDevices(refused: readonly Rejected[], cause: unknown): void {
  const devices = new Set(refused.map(({ deviceId }) => deviceId));
  if (devices.size <= refusedDevicesLimit) return;
  throw new Error(
    `Postgres refuses rows of ${devices.size} devices in one batch: that is the schema, not a device; nothing was parked`,
    { cause },
  );
}
