import type { TraceStep } from '@app/runtime/tracing';
import type { CacheResult } from './directus-cache.ts';
import { createCallDirectus } from './call-directus.ts';
import { createAuthenticate } from './authenticate.ts';
import type { Authenticate, OnDirectusCall } from './authenticate.ts';
import { createAuthorize } from './authorize.ts';
import type { Authorize } from './authorize.ts';
import { traceDirectus } from './trace-directus.ts';

/** What Directus decides: who somebody is, and what they may see. */
export interface Access {
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
}

/** What is measured of the questions of one kind. */
export interface DirectusMeter {
  readonly onCall: OnDirectusCall;
  readonly onCacheResult: (result: CacheResult) => void;
}

/** Calls at once, of both kinds together, and those that may wait for their turn. */
const maxInFlight = 32;
const maxWaiting = 5_000;

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
  const ask = createCallDirectus({ baseUrl: config.DIRECTUS_BASE_URL, maxInFlight, maxWaiting });
  const askDirectus = traceDirectus(trace, ask);
  return {
    authenticate: createAuthenticate({
      askDirectus,
      timeoutMs: config.DIRECTUS_AUTH_TIMEOUT_MS,
      cacheTtlMs: config.AUTH_CACHE_TTL_MS,
      nowMs,
      ...meter('authenticate'),
    }),
    authorize: createAuthorize({
      askDirectus,
      timeoutMs: config.DIRECTUS_AUTHZ_TIMEOUT_MS,
      cacheTtlMs: config.AUTHZ_CACHE_TTL_MS,
      nowMs,
      ...meter('authorize'),
    }),
  };
}
