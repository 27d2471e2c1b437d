import { classifyPostgresError } from '@app/runtime/postgres';
import pLimit, { type LimitFunction } from 'p-limit';
import type postgres from 'postgres';
import type { Metrics } from '../metrics.ts';
import type { Fix, Rejected } from '../fix.ts';
import { type DuplicateKey, isExactDuplicate, sortByKey } from './duplicate-keys.ts';
import { findDifferent, insertPositions, type PositionsTable } from './insert-positions.ts';
import { assertFewRefusedDevices, refuseRow } from './refuse-row.ts';
import { isTooLarge } from './statement-errors.ts';
import type { StatementControl, StatementRunner } from './statement-runner.ts';
import { sliceByTime } from './time-slices.ts';

/** The result of a batch: every fix is either durable or refused. */
export interface WrittenFixes {
  /** Stored fixes in reading order: inserted, duplicate, or conflicting (the key is stored, with other content). */
  readonly durable: readonly Fix[];
  /** Durable fixes that this batch did not insert: duplicates and conflicting ones. */
  readonly repeated: ReadonlySet<Fix>;
  /** Durable fixes whose key is stored with different content; dead-lettered as `same_time`, and still passed on. */
  readonly conflicting: readonly Fix[];
  /** Rows that Postgres refuses because of their values. */
  readonly refused: readonly Rejected[];
}

/** Rows compared in one statement: few enough to finish before its timeout, in few enough chunks. */
const comparison = { maxRows: 1000, maxSpanMs: 7 * 86_400_000 };

export interface WriterOptions {
  readonly statements: StatementRunner;
  /** Maximum batches written at the same time. */
  readonly concurrency: number;
  readonly metrics: Metrics;
}

type PickRows = (sql: postgres.Sql, rows: readonly Fix[]) => Promise<readonly number[]>;

/**
 * Writes batches of fixes. A transient error is retried as long as it lasts; a statement that is too large is halved; a
 * data error is bisected to its row and the rest is stored. Any other error (a missing table, a wrong password) is
 * fatal and thrown: dead-lettering would empty the stream.
 */
export class FixWriter {
  readonly #options: WriterOptions;
  readonly #limit: LimitFunction;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#limit = pLimit(options.concurrency);
  }

  /** Rejects with Postgres' error if it is fatal, or with the reason of `abandon` once that aborts. */
  async write(
    fixes: readonly Fix[],
    abandon: AbortSignal,
    onWait?: StatementControl['onWait'],
  ): Promise<WrittenFixes> {
    const control = { abandon, onWait };
    return this.#limit(async () => {
      const past = fixes.filter(({ isPastLimit }) => isPastLimit);
      if (past.length === 0) return this.#write('positions', fixes, control);
      const recent = fixes.filter(({ isPastLimit }) => !isPastLimit);
      const parts = [
        await this.#write('positions', recent, control),
        await this.#write('positions_past_limit', past, control),
      ];
      const durable = new Set(parts.flatMap((part) => part.durable));
      return {
        durable: fixes.filter((fix) => durable.has(fix)),
        repeated: new Set(parts.flatMap((part) => [...part.repeated])),
        conflicting: parts.flatMap((part) => part.conflicting),
        refused: parts.flatMap((part) => part.refused),
      };
    });
  }

  async #write(
    table: PositionsTable,
    fixes: readonly Fix[],
    control: StatementControl,
  ): Promise<WrittenFixes> {
    const insert: PickRows = (sql, rows) => insertPositions(sql, rows, table);
    const compare: PickRows = (sql, rows) => findDifferent(sql, rows, table);
    const refused: Rejected[] = [];
    /** Keys that are in the table, with content yet to be compared. */
    const existing: Fix[] = [];
    const exactDuplicates: DuplicateKey[] = [];
    let { unique, duplicates } = sortByKey(fixes);
    while (unique.length > 0) {
      existing.push(...(await this.#bisect(insert, unique, refused, control)));
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
    const different = new Set<Fix>();
    const slices =
      table === 'positions'
        ? sliceByTime(existing, ({ position }) => position.fixAtMs, comparison)
        : [existing];
    for (const slice of slices) {
      for (const fix of await this.#bisect(compare, slice, refused, control)) different.add(fix);
    }
    const duplicatesOfDifferent = exactDuplicates.filter(({ first }) => different.has(first));
    const conflicting = [...different, ...duplicatesOfDifferent.map(({ fix }) => fix)];
    const isRefused = isIn(refused);
    const repeated = new Set([...existing, ...exactDuplicates.map(({ fix }) => fix)]);
    const notInserted = existing.length + exactDuplicates.length;
    const { positionWrites } = this.#options.metrics;
    positionWrites.inc({ status: 'inserted' }, fixes.length - notInserted - refused.length);
    positionWrites.inc({ status: 'duplicate' }, notInserted - conflicting.length);
    positionWrites.inc({ status: 'conflicting' }, conflicting.length);
    positionWrites.inc({ status: 'rejected' }, refused.length);
    return { durable: fixes.filter((fix) => !isRefused(fix)), repeated, conflicting, refused };
  }

  /**
   * Runs a statement that picks some of its rows, and returns these. A data error halves the rows until the row that
   * causes it is found, in O(k log n) statements for k such rows; these are added to `refused`. A statement that is too
   * large is halved as well, down to a single row, which waits.
   */
  async #bisect(
    statement: PickRows,
    rows: readonly Fix[],
    refused: Rejected[],
    control: StatementControl,
  ): Promise<readonly Fix[]> {
    const [first] = rows;
    if (first === undefined) return [];
    const { statements } = this.#options;
    const isHalved = (error: unknown): boolean => rows.length > 1 && isTooLarge(error);
    try {
      const picked = await statements.run((sql) => statement(sql, rows), { ...control, isHandled: isHalved });
      return picked.flatMap((index) => rows[index] ?? []);
    } catch (error) {
      if (!isHalved(error) && classifyPostgresError(error) !== 'data') throw error;
      if (rows.length === 1) {
        refused.push(refuseRow(first, error));
        assertFewRefusedDevices(refused, error);
        return [];
      }
      // Behind a table lock every half times out as well, for minutes in all, so this counts as a retry.
      using retrying = isHalved(error) ? statements.beginRetrying(error) : undefined;
      const middle = rows.length >> 1;
      const left = await this.#bisect(statement, rows.slice(0, middle), refused, control);
      const right = await this.#bisect(statement, rows.slice(middle), refused, control);
      retrying?.succeed();
      return [...left, ...right];
    }
  }
}

function isIn(refused: readonly Rejected[]): (fix: Fix) => boolean {
  // The usual case, without a look-up per fix.
  if (refused.length === 0) return () => false;
  const ids = new Set(refused.map(({ entry }) => entry.id));
  return ({ entry }) => ids.has(entry.id);
}
