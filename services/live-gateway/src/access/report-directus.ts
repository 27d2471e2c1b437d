import type { Logger } from '@app/runtime/log';

/** A request that Directus did not answer as expected. */
export interface DirectusFailure {
  /** The `outcome` label of `live_auth_duration_seconds`. */
  readonly reason: string;
  /** A code of the system, of TLS or of the HTTP client, or a status; never a message, which may quote the request. */
  readonly cause?: string | undefined;
}

export type ReportDirectus = (failure: DirectusFailure | undefined) => void;

/** An outage has ended once no request has failed for this time: while some fail and others do not, it goes on. */
const quietMs = 10_000;

/**
 * Call the returned function after each request, with its failure if it failed: logs each cause once an outage, and the
 * first answer after it.
 */
export function createDirectusReport(log: Logger, nowMs: () => number): ReportDirectus {
  const loggedCauses = new Set<string>();
  let failedAtMs = Number.NaN;
  let hasAnsweredSince = false;
  return (failure) => {
    const atMs = nowMs();
    if (failure === undefined && loggedCauses.size > 0) hasAnsweredSince = true;
    if (hasAnsweredSince && atMs - failedAtMs >= quietMs) {
      log.info('Directus answers again');
      loggedCauses.clear();
      hasAnsweredSince = false;
    }
    if (failure === undefined) return;
    failedAtMs = atMs;
    hasAnsweredSince = false;
    const { reason, cause } = failure;
    const key = `${reason} ${cause ?? ''}`;
    if (loggedCauses.has(key)) return;
    loggedCauses.add(key);
    log.warn(
      { reason, ...(cause !== undefined && { cause }) },
      'Directus request failed; until it answers, new viewers get 503 and connected ones stay for REAUTHORIZE_GRACE_MS',
    );
  };
}

const maxCauses = 8;

/** What made a `fetch` fail: the code of its innermost cause that has one, or the status of a proxy that refused. */
export function causeOf(error: unknown): string | undefined {
  let cause: string | undefined;
  let link = error;
  // Bounded, because a chain of causes may be circular.
  for (let depth = 0; link instanceof Error && depth < maxCauses; depth += 1) {
    const proxyStatus = /^Proxy response \((\d{3})\)/u.exec(link.message)?.[1];
    if (proxyStatus !== undefined) return `HTTP ${proxyStatus} from the proxy`;
    if ('code' in link && typeof link.code === 'string') cause = link.code;
    link = link.cause;
  }
  return cause;
}
