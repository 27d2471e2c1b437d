import { DirectusCache } from './directus-cache.ts';
import type { CacheResult } from './directus-cache.ts';
import { readDataId } from './call-directus.ts';
import type { CallDirectus, DirectusReply } from './call-directus.ts';
import type { Visitor } from './visitor.ts';

export type Identity =
  | { readonly kind: 'user'; readonly userId: string }
  /** No session, an expired one, or one without a user: a share token's. */
  | { readonly kind: 'nobody' }
  /** Directus could not say: come back later. */
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number };

export type Authenticate = (visitor: Visitor) => Promise<Identity>;

/** One call to Directus has ended: how, and after how long (its wait for a turn included). */
export type OnDirectusCall = (outcome: string, durationMs: number) => void;

/** A refusal is kept for a shorter time: whoever has just logged in again should not be told no for long. */
const maxRefusalKeptMs = 5_000;
const maxAnswers = 50_000;

/**
 * Who a visitor is, by `/users/me`. Answers are kept by the hash of the session cookie for `cacheTtlMs`, calls for one
 * cookie are made once; that Directus did not answer is never kept.
 */
export function createAuthenticate(options: {
  readonly askDirectus: CallDirectus;
  readonly timeoutMs: number;
  readonly cacheTtlMs: number;
  readonly nowMs: () => number;
  readonly onCall: OnDirectusCall;
  readonly onCacheResult: (result: CacheResult) => void;
}): Authenticate {
  const { askDirectus, timeoutMs, cacheTtlMs, nowMs } = options;
  const cache = new DirectusCache<Identity>({ maxAnswers, nowMs, onResult: options.onCacheResult });
  return (visitor) =>
    cache.get(visitor.cookie.hash, async () => {
      const askedAtMs = nowMs();
      const reply = await askDirectus('/users/me', visitor, timeoutMs);
      const identity = identify(reply);
      options.onCall(reply.answered ? identity.kind : reply.reason, nowMs() - askedAtMs);
      return { value: identity, ttlMs: keepMs(identity, cacheTtlMs) };
    });
}

/** Whom a reply of `/users/me` names. Whatever is no clear yes is nobody; only silence and 429, 5xx are "later". */
export function identify(reply: DirectusReply): Identity {
  if (!reply.answered) {
    return {
      kind: 'unavailable',
      ...(reply.retryAfterMs !== undefined && { retryAfterMs: reply.retryAfterMs }),
    };
  }
  // A proxy's 404 or a redirect is no verdict about the visitor.
  if (reply.status !== 200 && reply.status !== 401 && reply.status !== 403) return { kind: 'unavailable' };
  const userId = reply.status === 200 ? readDataId(reply.body) : undefined;
  return userId === undefined ? { kind: 'nobody' } : { kind: 'user', userId };
}

function keepMs(identity: Identity, cacheTtlMs: number): number {
  if (identity.kind === 'unavailable') return 0;
  return identity.kind === 'user' ? cacheTtlMs : Math.min(cacheTtlMs, maxRefusalKeptMs);
}
