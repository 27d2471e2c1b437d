import { createCachedDirectusCall } from './cached-directus-call.ts';
import type { CachedCallOptions } from './cached-directus-call.ts';
import { readDataId, unavailable } from './call-directus.ts';
import type { DirectusReply, Unavailable } from './call-directus.ts';
import type { Visitor } from './visitor.ts';

export type Identity =
  | { readonly kind: 'user'; readonly userId: string }
  /** No session, an expired one, or one without a user (a share token). */
  | { readonly kind: 'nobody' }
  | Unavailable;

export type Authenticate = (visitor: Visitor) => Promise<Identity>;

const maxEntries = 50_000;

/** Authenticates by `/users/me`. Cached by the credential. */
export function createAuthenticate(options: CachedCallOptions): Authenticate {
  const cachedCall = createCachedDirectusCall<Identity>(options, 'user', maxEntries);
  return (visitor) =>
    cachedCall({ key: visitor.credential.hash, path: '/users/me', visitor, read: toIdentity });
}

/** The identity in a response of `/users/me`. Fails closed: a 200 without a user id is `nobody`. */
export function toIdentity(reply: DirectusReply): Identity {
  if (!reply.answered) return unavailable(reply.retryAfterMs);
  // A proxy's 404 or a redirect does not prove that the session has ended.
  if (reply.status !== 200 && reply.status !== 401 && reply.status !== 403) return unavailable();
  const userId = reply.status === 200 ? readDataId(reply.body) : undefined;
  return userId === undefined ? { kind: 'nobody' } : { kind: 'user', userId };
}
