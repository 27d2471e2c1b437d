import type { Logger } from '@app/runtime/log';

/**
 * What was done for one client when it failed unexpectedly; label `operation` of `live_client_errors_total`. `receive` is
 * any event of its socket.
 */
export type ClientOperation =
  | 'upgrade'
  | 'ticket'
  | 'open'
  | 'receive'
  | 'reauthorise'
  | 'write'
  | 'sweep'
  | 'drain'
  | 'close';

/** Identifies a client in the log. An upgrade that failed has neither. */
interface ClientIds {
  readonly connection?: string;
  readonly user?: string;
}

export type ReportClientError = (operation: ClientOperation, error: unknown, ids: ClientIds) => void;

/** The part of a `Connection` that an unexpected error needs. */
interface FailingConnection {
  fail(operation: ClientOperation, error: unknown): void;
}

/** Maximum logged errors a second, so that a bug that hits every client does not fill the disk. All are counted. */
const maxLoggedPerS = 10;

/** Counts unexpected errors that end one client's connection, and logs them. */
export function createClientErrorReport(
  log: Logger,
  count: (operation: ClientOperation) => void,
  nowMs: () => number,
): ReportClientError {
  let secondStartedAtMs = 0;
  let logged = 0;
  let notLogged = 0;
  return (operation, error, ids) => {
    count(operation);
    const atMs = nowMs();
    if (Math.abs(atMs - secondStartedAtMs) >= 1_000) {
      secondStartedAtMs = atMs;
      logged = 0;
    }
    if (logged === maxLoggedPerS) {
      notLogged += 1;
      return;
    }
    logged += 1;
    log.error(
      { operation, ...ids, ...(notLogged > 0 && { notLogged }), error },
      'unexpected error while serving one client; its connection is closed',
    );
    notLogged = 0;
  };
}

/**
 * Does something for one client. An unexpected error closes this client's connection, and nobody else's: it reconnects,
 * perhaps to another replica, while an error in what all clients share must end the process.
 */
export function guardClient(
  connection: FailingConnection,
  operation: ClientOperation,
  action: () => void,
): void {
  try {
    action();
  } catch (error) {
    connection.fail(operation, error);
  }
}
