import { isUuid } from '@app/shared/topics';
import { createCachedDirectusCall } from './cached-directus-call.ts';
import type { CachedCallOptions } from './cached-directus-call.ts';
import { readDataId, unavailable } from './call-directus.ts';
import type { DirectusReply, Unavailable } from './call-directus.ts';
import type { Visitor } from './visitor.ts';

export type Permission =
  | { readonly kind: 'allowed' }
  /** Also if the event does not exist: Directus answers 403 to both. */
  | { readonly kind: 'forbidden'; readonly isRestricted: boolean }
  /** The session itself is no longer valid. */
  | { readonly kind: 'session-ended' }
  | Unavailable;

/**
 * Checks whether a visitor may see an event. With `notBeforeMs`, values requested earlier are not used: a recheck must
 * not be answered with a value from before the permission was withdrawn.
 */
export type Authorize = (visitor: Visitor, eventId: string, notBeforeMs?: number) => Promise<Permission>;

const maxEntries = 100_000;

/** Authorises by `/items/events/:id?fields=id` with the visitor's credential. Cached by credential and event. */
export function createAuthorize(options: CachedCallOptions): Authorize {
  const cachedCall = createCachedDirectusCall<Permission>(options, 'allowed', maxEntries);
  return async (visitor, eventId, notBeforeMs) => {
    // Checked where the URL is built: for '', '.' and '../../users/me' Directus would answer 200 with other data.
    if (!isUuid(eventId)) return { kind: 'forbidden', isRestricted: false };
    const key = `${visitor.credential.hash} ${eventId}`;
    const path = `/items/events/${eventId}?fields=id`;
    return cachedCall({ key, path, visitor, read: (reply) => toPermission(reply, eventId) }, notBeforeMs);
  };
}

/** The permission in a response of `/items/events/:id`: allowed only if it is a 200 whose `data.id` is the event. */
export function toPermission(reply: DirectusReply, eventId: string): Permission {
  if (!reply.answered) return unavailable(reply.retryAfterMs);
  const { status, body, errorCode } = reply;
  if (status === 200) {
    return readDataId(body) === eventId ? { kind: 'allowed' } : { kind: 'forbidden', isRestricted: false };
  }
  // A token signed with another key gets a 403.
  if (status === 401 || (status === 403 && errorCode === 'INVALID_TOKEN')) return { kind: 'session-ended' };
  // Directus 12 without a licence answers every request like this; the metric shows it as `restricted`.
  if (status === 403) return { kind: 'forbidden', isRestricted: errorCode === 'RESOURCE_RESTRICTED' };
  return unavailable();
}
