import { DirectusCache } from './directus-cache.ts';
import type { CacheResult } from './directus-cache.ts';
import { readDataId } from './call-directus.ts';
import type { CallDirectus, DirectusReply } from './call-directus.ts';
import type { Visitor } from './visitor.ts';

export type Identity =
  | { readonly kind: 'user'; readonly userId: string }
  /** No session, an expired one, or one without a user (a share token). */
  | { readonly kind: 'nobody' }
  /** Directus did not answer. */
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number };

export type Authenticate = (visitor: Visitor) => Promise<Identity>;

/** Called after each Directus call; the duration includes the time in the queue. */
export type OnDirectusCall = (outcome: string, durationMs: number) => void;

/** Cached for less time than a user: a client that logs in again must not be refused for long. */
const maxRefusalTtlMs = 5_000;
const maxEntries = 50_000;

/** Authenticates by `/users/me`. Cached by the hash of the session cookie; unavailability is not cached. */
export function createAuthenticate(options: {
  readonly callDirectus: CallDirectus;
  readonly timeoutMs: number;
  readonly cacheTtlMs: number;
  readonly nowMs: () => number;
  readonly onCall: OnDirectusCall;
  readonly onCacheResult: (result: CacheResult) => void;
}): Authenticate {
  const { callDirectus, timeoutMs, cacheTtlMs, nowMs } = options;
  const cache = new DirectusCache<Identity>({ maxEntries, nowMs, onResult: options.onCacheResult });
  return (visitor) =>
    cache.get(visitor.cookie.hash, async () => {
      const requestedAtMs = nowMs();
      const reply = await callDirectus('/users/me', visitor, timeoutMs);
      const identity = identify(reply);
      options.onCall(reply.answered ? identity.kind : reply.reason, nowMs() - requestedAtMs);
      return { value: identity, ttlMs: ttlMs(identity, cacheTtlMs) };
    });
}

/** The identity in a response of `/users/me`. Fails closed: a 200 without a user id is `nobody`. */
export function identify(reply: DirectusReply): Identity {
  if (!reply.answered) {
    return {
      kind: 'unavailable',
      ...(reply.retryAfterMs !== undefined && { retryAfterMs: reply.retryAfterMs }),
    };
  }
  // A proxy's 404 or a redirect says nothing about the session.
  if (reply.status !== 200 && reply.status !== 401 && reply.status !== 403) return { kind: 'unavailable' };
  const userId = reply.status === 200 ? readDataId(reply.body) : undefined;
  return userId === undefined ? { kind: 'nobody' } : { kind: 'user', userId };
}

function ttlMs(identity: Identity, cacheTtlMs: number): number {
  if (identity.kind === 'unavailable') return 0;
  return identity.kind === 'user' ? cacheTtlMs : Math.min(cacheTtlMs, maxRefusalTtlMs);
}
