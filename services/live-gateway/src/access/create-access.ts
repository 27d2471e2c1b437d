import type { Logger } from '@app/runtime/log';
import type { TraceStep } from '@app/runtime/tracing';
import type { RunClock } from '../run-clock.ts';
import { createAuthenticate } from './authenticate.ts';
import type { Authenticate } from './authenticate.ts';
import { createAuthorizeIncidents } from './authorize-incidents.ts';
import { createAuthorizeTopic } from './authorize-topic.ts';
import type { AuthorizeTopic } from './authorize-topic.ts';
import { createAuthorize } from './authorize.ts';
import type { CachedCallOptions } from './cached-directus-call.ts';
import { createCallDirectus } from './call-directus.ts';
import { createDirectusReport } from './report-directus.ts';
import { traceDirectus } from './trace-directus.ts';

/** Authentication and authorisation by Directus. */
export interface Access {
  readonly authenticate: Authenticate;
  readonly authorize: AuthorizeTopic;
}

/** Label `operation` of `live_auth_duration_seconds`. */
export type DirectusOperation = 'authenticate' | 'authorize' | 'authorize_incidents';

/** Measures one kind of call. */
export type DirectusMeter = Pick<CachedCallOptions, 'onCall' | 'onCacheResult'>;

/** Limits for all kinds of calls together. */
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
  readonly meter: (operation: DirectusOperation) => DirectusMeter;
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
  const authorization = {
    timeoutMs: config.DIRECTUS_AUTHZ_TIMEOUT_MS,
    cacheTtlMs: config.AUTHZ_CACHE_TTL_MS,
  };
  return {
    authenticate: createAuthenticate({
      ...shared,
      ...meter('authenticate'),
      timeoutMs: config.DIRECTUS_AUTH_TIMEOUT_MS,
      cacheTtlMs: config.AUTH_CACHE_TTL_MS,
    }),
    authorize: createAuthorizeTopic(
      createAuthorize({ ...shared, ...meter('authorize'), ...authorization }),
      createAuthorizeIncidents({ ...shared, ...meter('authorize_incidents'), ...authorization }),
    ),
  };
}
