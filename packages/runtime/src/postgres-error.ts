/**
 * How to handle a failed statement: `transient`, retry it; `data`, a value cannot be stored; `fatal`, the statement, the
 * schema or the configuration is wrong, and no retry will help.
 */
export type PostgresErrorClass = 'transient' | 'data' | 'fatal';

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
  '25006', // read-only: the server is a replica, or about to be promoted
  '26000', // a pooler lost the prepared statement
  '40001',
  '40003',
  '40P01',
  '55P03',
  '57014', // statement_timeout or pg_cancel_backend
  '57P01',
  '57P02',
  '57P03',
  '57P05', // the server closed an idle connection
]);
const protocolViolation = '08P01';
// PgBouncer has one SQLSTATE for all its errors and for those of the server's login. Other messages are outages, such as
// "server login has been failing", or limits.
const permanentPoolerErrors =
  /no such (?:database|user)|unsupported (?:options )?startup parameter|authentication failed|login rejected|SSL required|database ".*" does not exist|role ".*" does not exist|no pg_hba\.conf entry/u;
const configurationLimit = '53400';
const dataClass = '22';
const dataStates: ReadonlySet<string> = new Set(['23502', '23503', '23514']);

/** Classifies an error of postgres.js; follows `cause`. Unknown errors are `fatal`. */
export function classifyPostgresError(error: unknown): PostgresErrorClass {
  const state = sqlState(error);
  if (state === undefined) {
    return isConnectionError(error) ? 'transient' : 'fatal';
  }
  if (
    state === protocolViolation &&
    causes(error).some(({ message }) => permanentPoolerErrors.test(message))
  ) {
    return 'fatal';
  }
  if (
    state !== configurationLimit &&
    (transientClasses.has(state.slice(0, 2)) || transientStates.has(state))
  ) {
    return 'transient';
  }
  return state.startsWith(dataClass) || dataStates.has(state) ? 'data' : 'fatal';
}

/** The five-character SQLSTATE of a server error; follows `cause`. */
export function sqlState(error: unknown): string | undefined {
  for (const link of causes(error)) {
    // `EPIPE` also looks like a SQLSTATE; only server errors have a severity. PgBouncer sends only its localised field.
    if (('severity' in link || 'severity_local' in link) && 'code' in link && isSqlState(link.code)) {
      return link.code;
    }
  }
  return undefined;
}

/** Whether a pooler refuses connections because they set this parameter when they start. */
export function refusesStartupParameter(error: unknown, name: string): boolean {
  return (
    sqlState(error) === protocolViolation &&
    causes(error).some(({ message }) => message === `unsupported startup parameter: ${name}`)
  );
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
