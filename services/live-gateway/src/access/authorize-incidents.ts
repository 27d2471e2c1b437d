import { createCachedDirectusCall } from './cached-directus-call.ts';
import type { CachedCallOptions } from './cached-directus-call.ts';
import { unavailable } from './call-directus.ts';
import type { DirectusReply, Unavailable } from './call-directus.ts';
import type { Visitor } from './visitor.ts';

export type IncidentsPermission =
  | { readonly kind: 'known'; readonly mayRead: boolean }
  | { readonly kind: 'session-ended' }
  | Unavailable;

/** Checks whether a visitor may read the collection `incidents`. `notBeforeMs` as of `Authorize`. */
export type AuthorizeIncidents = (visitor: Visitor, notBeforeMs?: number) => Promise<IncidentsPermission>;

const maxEntries = 50_000;
const path = '/items/incidents?limit=1&fields=key';

/** Asks with the visitor's credential. Cached by credential. */
export function createAuthorizeIncidents(options: CachedCallOptions): AuthorizeIncidents {
  const cachedCall = createCachedDirectusCall<IncidentsPermission>(options, 'known', maxEntries);
  return (visitor, notBeforeMs) =>
    cachedCall({ key: visitor.credential.hash, path, visitor, read: toIncidentsPermission }, notBeforeMs);
}

/** Fails closed: anything but a 200 with a list is no permission, or not known. */
export function toIncidentsPermission(reply: DirectusReply): IncidentsPermission {
  if (!reply.answered) return unavailable(reply.retryAfterMs);
  const { status, body, errorCode } = reply;
  if (status === 200) {
    const isList = typeof body === 'object' && body !== null && 'data' in body && Array.isArray(body.data);
    return { kind: 'known', mayRead: isList };
  }
  if (status === 401 || (status === 403 && errorCode === 'INVALID_TOKEN')) return { kind: 'session-ended' };
  // Also if Directus has no such collection.
  if (status === 403) return { kind: 'known', mayRead: false };
  return unavailable();
}
