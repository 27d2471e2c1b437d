import { isUuid } from '@app/shared/topics';
import { DirectusCache } from './directus-cache.ts';
import type { CacheResult } from './directus-cache.ts';
import { readDataId } from './call-directus.ts';
import type { CallDirectus, DirectusReply } from './call-directus.ts';
import type { OnDirectusCall } from './authenticate.ts';
import type { Visitor } from './visitor.ts';

export type Permission =
  | { readonly kind: 'allowed' }
  /** Also if the event does not exist: Directus answers 403 to both. */
  | { readonly kind: 'forbidden'; readonly isRestricted: boolean }
  /** The session itself is no longer valid. */
  | { readonly kind: 'session-ended' }
  | { readonly kind: 'unavailable'; readonly retryAfterMs?: number };

/**
 * Checks whether a visitor may see an event. With `notBeforeMs`, values requested earlier are not used: a recheck must
 * not be answered with a value from before the permission was withdrawn.
 */
export type Authorize = (visitor: Visitor, eventId: string, notBeforeMs?: number) => Promise<Permission>;

const maxRefusalTtlMs = 5_000;
const maxEntries = 100_000;

/** Authorises by `/items/events/:id?fields=id` with the visitor's session. Cached by cookie hash and event. */
export function createAuthorize(options: {
  readonly callDirectus: CallDirectus;
  readonly timeoutMs: number;
  readonly cacheTtlMs: number;
  readonly nowMs: () => number;
  readonly onCall: OnDirectusCall;
  readonly onCacheResult: (result: CacheResult) => void;
}): Authorize {
  const { callDirectus, timeoutMs, cacheTtlMs, nowMs } = options;
  const cache = new DirectusCache<Permission>({ maxEntries, nowMs, onResult: options.onCacheResult });
  return async (visitor, eventId, notBeforeMs) => {
    // Checked where the URL is built: for '', '.' and '../../users/me' Directus would answer 200 with other data.
    if (!isUuid(eventId)) return { kind: 'forbidden', isRestricted: false };
    return cache.get(
      `${visitor.cookie.hash} ${eventId}`,
      async () => {
        const requestedAtMs = nowMs();
        const reply = await callDirectus(`/items/events/${eventId}?fields=id`, visitor, timeoutMs);
        const permission = toPermission(reply, eventId);
        options.onCall(outcome(reply, permission), nowMs() - requestedAtMs);
        return { value: permission, ttlMs: ttlMs(permission, cacheTtlMs) };
      },
      notBeforeMs,
    );
  };
}

/** The permission in a response of `/items/events/:id`: allowed only if it is a 200 whose `data.id` is the event. */
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
  // A token signed with another key gets a 403.
  if (status === 401 || (status === 403 && errorCode === 'INVALID_TOKEN')) return { kind: 'session-ended' };
  // Directus 12 without a licence answers every request like this; the metric shows it as `restricted`.
  if (status === 403) return { kind: 'forbidden', isRestricted: errorCode === 'RESOURCE_RESTRICTED' };
  return { kind: 'unavailable' };
}

function outcome(reply: DirectusReply, permission: Permission): string {
  if (!reply.answered) return reply.reason;
  return permission.kind === 'forbidden' && permission.isRestricted ? 'restricted' : permission.kind;
}

function ttlMs(permission: Permission, cacheTtlMs: number): number {
  if (permission.kind === 'unavailable') return 0;
  return permission.kind === 'allowed' ? cacheTtlMs : Math.min(cacheTtlMs, maxRefusalTtlMs);
}
