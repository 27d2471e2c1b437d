import { classifyPostgresError, sqlState } from '@app/runtime/postgres';

const statementTimeout = '57014';
/** Out of memory, or of locks: `max_locks_per_transaction`. */
const outOfMemory = '53200';
/** A limit of the configuration, such as TimescaleDB's on decompressed rows per transaction. */
const limitExceeded = '53400';

const tooLargeStates: ReadonlySet<string> = new Set([statementTimeout, outOfMemory, limitExceeded]);

/** Whether a statement over fewer rows may succeed where this one failed. */
export function isTooLarge(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && tooLargeStates.has(state);
}

/** Whether the error may end by itself: a limit may be reached only because of other sessions, or be raised. */
export function mayPass(error: unknown): boolean {
  return classifyPostgresError(error) === 'transient' || sqlState(error) === limitExceeded;
}

/** Whether only a change of the configuration ends the error. */
export function isLimitExceeded(error: unknown): boolean {
  return sqlState(error) === limitExceeded;
}

const remedies: Readonly<Record<string, string>> = {
  '42501':
    "The processor's Postgres role lacks a right on positions or positions_past_limit: run the migration job, or as the owner: select grant_least_rights()",
  '42P01': 'A table is missing: run the migrations',
  '42703': 'A column is missing: run the migrations',
  [outOfMemory]:
    'Postgres is out of memory or of locks: raise max_locks_per_transaction, or drop chunks of positions',
  [limitExceeded]:
    'A limit of Postgres is too low for a single row: raise the one that its log names, such as timescaledb.max_tuples_decompressed_per_dml_transaction or temp_file_limit',
};

/** The same error, or one that says what to do about it. */
export function withRemedy(error: unknown): unknown {
  const remedy = remedies[sqlState(error) ?? ''];
  return remedy === undefined ? error : new Error(remedy, { cause: error });
}
