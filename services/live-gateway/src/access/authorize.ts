import { isUuid } from '@app/shared/topics';
import { DirectusCache } from './directus-cache.ts';
import type { CacheResult } from './directus-cache.ts';
import { readDataId } from './call-directus.ts';
import type { CallDirectus, DirectusReply } from './call-directus.ts';
import type { OnDirectusCall } from './authenticate.ts';
import type { Visitor } from './visitor.ts';

export type Permission =
  | { readonly kind: 'allowed' }
  /** Or the event does not exist: Directus answers 403 to both. */
  | { readonly kind: 'forbidden'; readonly isRestricted: boolean }
  /** The session itself is no longer valid. */
  | { readonly kind: 'session-ended' }
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number };

/**
 * May this visitor see this event? With `notBeforeMs` an answer that was asked for earlier does not count: a check
 * whether a permission still holds must not be answered from before it was withdrawn.
 */
export type Authorize = (visitor: Visitor, eventId: string, notBeforeMs?: number) => Promise<Permission>;

const maxRefusalKeptMs = 5_000;
const maxAnswers = 100_000;

/** By `/items/events/:id?fields=id` in the visitor's name; kept by cookie hash and event. */
export function createAuthorize(options: {
  readonly askDirectus: CallDirectus;
  readonly timeoutMs: number;
  readonly cacheTtlMs: number;
  readonly nowMs: () => number;
  readonly onCall: OnDirectusCall;
  readonly onCacheResult: (result: CacheResult) => void;
}): Authorize {
  const { askDirectus, timeoutMs, cacheTtlMs, nowMs } = options;
  const cache = new DirectusCache<Permission>({ maxAnswers, nowMs, onResult: options.onCacheResult });
  return async (visitor, eventId, notBeforeMs) => {
    // Checked here again, where the URL is made: '', '.' and '../../users/me' would be answered 200, with other data.
    if (!isUuid(eventId)) return { kind: 'forbidden', isRestricted: false };
    return cache.get(
      `${visitor.cookie.hash} ${eventId}`,
      async () => {
        const askedAtMs = nowMs();
        const reply = await askDirectus(`/items/events/${eventId}?fields=id`, visitor, timeoutMs);
        const permission = toPermission(reply, eventId);
        options.onCall(outcome(reply, permission), nowMs() - askedAtMs);
        return { value: permission, ttlMs: keepMs(permission, cacheTtlMs) };
      },
      notBeforeMs,
    );
  };
}

/** What a reply of `/items/events/:id` permits. Yes is only a 200 whose `data.id` is the event asked for. */
export function toPermission(reply: DirectusReply, eventId: string): Permission {
  if (!reply.answered) {
    return {
      kind: 'unavailable',
      ...(reply.retryAfterMs !== undefined && { retryAfterMs: reply.retryAfterMs }),
    };
  }
  const { status, body, errorCode } = reply;
  if (status === 200) {
    return readDataId(body) === eventId ? { kind: 'allowed' } : { kind: 'forbidden', isRestricted: false };
  }
  // A token signed by another key is told so with a 403.
  if (status === 401 || (status === 403 && errorCode === 'INVALID_TOKEN')) return { kind: 'session-ended' };
  // Directus 12 without a licence has no row rules and says this to everyone: an operator must see it apart.
  if (status === 403) return { kind: 'forbidden', isRestricted: errorCode === 'RESOURCE_RESTRICTED' };
  return { kind: 'unavailable' };
}

function outcome(reply: DirectusReply, permission: Permission): string {
  if (!reply.answered) return reply.reason;
  return permission.kind === 'forbidden' && permission.isRestricted ? 'restricted' : permission.kind;
}

function keepMs(permission: Permission, cacheTtlMs: number): number {
  if (permission.kind === 'unavailable') return 0;
  return permission.kind === 'allowed' ? cacheTtlMs : Math.min(cacheTtlMs, maxRefusalKeptMs);
}
