import type { TraceStep } from '@app/runtime/tracing';
import type { CacheResult } from './directus-cache.ts';
import { createCallDirectus } from './call-directus.ts';
import { createAuthenticate } from './authenticate.ts';
import type { Authenticate, OnDirectusCall } from './authenticate.ts';
import { createAuthorize } from './authorize.ts';
import type { Authorize } from './authorize.ts';
import { traceDirectus } from './trace-directus.ts';

/** Authentication and authorisation by Directus. */
export interface Access {
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
}

/** Metrics of one kind of call. */
export interface DirectusMeter {
  readonly onCall: OnDirectusCall;
  readonly onCacheResult: (result: CacheResult) => void;
}

/** Limits of both kinds of calls together. */
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
  readonly nowMs: () => number;
}): Access {
  const { config, meter, trace, nowMs } = options;
  const call = createCallDirectus({ baseUrl: config.DIRECTUS_BASE_URL, maxInFlight, maxQueued });
  const callDirectus = traceDirectus(trace, call);
  return {
    authenticate: createAuthenticate({
      callDirectus,
      timeoutMs: config.DIRECTUS_AUTH_TIMEOUT_MS,
      cacheTtlMs: config.AUTH_CACHE_TTL_MS,
      nowMs,
      ...meter('authenticate'),
    }),
    authorize: createAuthorize({
      callDirectus,
      timeoutMs: config.DIRECTUS_AUTHZ_TIMEOUT_MS,
      cacheTtlMs: config.AUTHZ_CACHE_TTL_MS,
      nowMs,
      ...meter('authorize'),
    }),
  };
}
