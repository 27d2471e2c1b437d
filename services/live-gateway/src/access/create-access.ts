import type { Logger } from '@app/runtime/log';
import type { TraceStep } from '@app/runtime/tracing';
import type { RunClock } from '../run-clock.ts';
import { createAuthenticate } from './authenticate.ts';
import type { Authenticate } from './authenticate.ts';
import { createAuthorize } from './authorize.ts';
import type { Authorize } from './authorize.ts';
import type { CachedCallOptions } from './cached-directus-call.ts';
import { createCallDirectus } from './call-directus.ts';
import { createDirectusReport } from './report-directus.ts';
import { traceDirectus } from './trace-directus.ts';

/** Authentication and authorisation by Directus. */
export interface Access {
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
}

/** Measures one kind of call. */
export type DirectusMeter = Pick<CachedCallOptions, 'onCall' | 'onCacheResult'>;

/** Limits for both kinds of calls together. */
const maxInFlight = 32;
const maxQueued = 5_000;

export function createAccess(options: {
  readonly config: {
    readonly DIRECTUS_BASE_URL: string;
    readonly DIRECTUS_AUTH_TIMEOUT_MS: number;
    readonly DIRECTUS_AUTHZ_TIMEOUT_MS: number;
    readonly AUTH_CACHE_TTL_MS: number;
    readonly AUTHZ_CACHE_TTL_MS: number;
  };
  readonly meter: (operation: 'authenticate' | 'authorize') => DirectusMeter;
  readonly trace?: TraceStep | undefined;
  readonly log: Logger;
  readonly clock: RunClock;
  readonly nowMs: () => number;
}): Access {
  const { config, meter, trace, log, clock, nowMs } = options;
  const call = createCallDirectus({ baseUrl: config.DIRECTUS_BASE_URL, maxInFlight, maxQueued, clock });
  const shared = {
    callDirectus: traceDirectus(trace, call),
    onResult: createDirectusReport(log, nowMs),
    nowMs,
  };
  return {
    authenticate: createAuthenticate({
      ...shared,
      ...meter('authenticate'),
      timeoutMs: config.DIRECTUS_AUTH_TIMEOUT_MS,
      cacheTtlMs: config.AUTH_CACHE_TTL_MS,
    }),
    authorize: createAuthorize({
      ...shared,
      ...meter('authorize'),
      timeoutMs: config.DIRECTUS_AUTHZ_TIMEOUT_MS,
      cacheTtlMs: config.AUTHZ_CACHE_TTL_MS,
    }),
  };
}
