/**
 * What to do with a failed statement: `transient`, try it again for as long as
 * it lasts; `row`, one of the values is not storable; `ours`, the statement,
 * the schema or the set-up is wrong, and no retry will help.
 */
export type PostgresErrorClass = 'transient' | 'row' | 'ours';

const maxCauses = 5;

const connectionCodes: ReadonlySet<string> = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_DESTROYED',
  'CONNECTION_ENDED',
  'CONNECT_TIMEOUT',
  'DEADLINE_EXCEEDED',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const transientClasses: ReadonlySet<string> = new Set(['08', '53', '58']);
const transientStates: ReadonlySet<string> = new Set([
  '25006', // read-only: the server was a replica, or is about to become the primary
  '26000', // a pooler lost the prepared statement
  '40001',
  '40003',
  '40P01',
  '55P03',
  '57014', // our own statement_timeout, or someone's pg_cancel_backend
  '57P01',
  '57P02',
  '57P03',
  '57P05', // the server closed an idle connection
]);
const configurationLimit = '53400';
const rowClass = '22';
const rowStates: ReadonlySet<string> = new Set(['23502', '23503', '23514']);

/** Which of the three an error of postgres.js is; looks through `cause`. Unknown errors are `ours`. */
export function classifyPostgresError(error: unknown): PostgresErrorClass {
  const state = sqlState(error);
  if (state === undefined) {
    return isConnectionError(error) ? 'transient' : 'ours';
  }
  if (
    state !== configurationLimit &&
    (transientClasses.has(state.slice(0, 2)) || transientStates.has(state))
  ) {
    return 'transient';
  }
  return state.startsWith(rowClass) || rowStates.has(state) ? 'row' : 'ours';
}

/** The five-character SQLSTATE that the server sent with an error; looks through `cause`. */
export function sqlState(error: unknown): string | undefined {
  for (const link of causes(error)) {
    // `EPIPE` has the form of a SQLSTATE too; only the server's errors carry a severity.
    if ('severity' in link && 'code' in link && isSqlState(link.code)) {
      return link.code;
    }
  }
  return undefined;
}

function isConnectionError(error: unknown): boolean {
  return causes(error).some(
    (link) => 'code' in link && typeof link.code === 'string' && connectionCodes.has(link.code),
  );
}

function causes(error: unknown): readonly Error[] {
  const chain: Error[] = [];
  for (let link = error; link instanceof Error && chain.length < maxCauses; link = link.cause) {
    chain.push(link);
  }
  return chain;
}

function isSqlState(code: unknown): code is string {
  return typeof code === 'string' && /^[0-9A-Z]{5}$/u.test(code);
}
