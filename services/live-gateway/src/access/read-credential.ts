import { readBearerToken } from './bearer-token.ts';
import { hasCookie, readSessionCookie } from './session-cookie.ts';
import { anonymous } from './visitor.ts';
import type { Credential } from './visitor.ts';

export interface CredentialRules {
  readonly cookieName: string;
  /** Whether `Authorization: Bearer` is read. */
  readonly acceptsBearerTokens: boolean;
  /** Whether requests without a credential are accepted. */
  readonly admitsAnonymous: boolean;
}

/**
 * The credential of a request; undefined if it has none that counts. `Authorization` precedes the cookie, as in Directus.
 *
 * An invalid credential never counts as none: a viewer whose session is broken would silently lose what the session
 * may see.
 */
export function readCredential(
  request: { readonly authorization: string; readonly cookieHeader: string },
  { cookieName, acceptsBearerTokens, admitsAnonymous }: CredentialRules,
): Credential | undefined {
  const { authorization, cookieHeader } = request;
  if (acceptsBearerTokens && authorization !== '') return readBearerToken(authorization);
  const isAnonymous = admitsAnonymous && !hasCookie(cookieHeader, cookieName);
  return isAnonymous ? anonymous : readSessionCookie(cookieHeader, cookieName);
}
