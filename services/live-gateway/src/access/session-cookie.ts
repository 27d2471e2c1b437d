import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { parseCookie } from 'cookie';

/** What a cookie's value may consist of (RFC 6265, section 4.1.1, quotes included): nothing that could end a header line. */
const cookieValue = /^"?[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+"?$/;

/**
 * The session cookie of one visitor, kept only in memory. The value leaves it in one way, `header()`, on the way to
 * Directus; whatever prints or serialises this object gets a placeholder, so that no log line can hold a session.
 */
export class SessionCookie {
  readonly #header: string;
  /** SHA-256 of the value: names a session in caches, useless to whoever reads it. */
  readonly hash: string;

  constructor(name: string, value: string) {
    this.#header = `${name}=${value}`;
    this.hash = createHash('sha256').update(value).digest('base64url');
  }

  /** The `Cookie` header for Directus: this cookie and none of the browser's others. */
  header(): string {
    return this.#header;
  }

  toJSON(): string {
    return '[session cookie]';
  }

  [inspect.custom](): string {
    return '[session cookie]';
  }
}

/**
 * The session cookie in a `Cookie` header, or undefined if there is none that could be one.
 * The value is taken as it was sent, not decoded: Directus must get the bytes that the browser holds.
 */
export function readSessionCookie(cookieHeader: string, cookieName: string): SessionCookie | undefined {
  const value = parseCookie(cookieHeader, { decode: (text) => text })[cookieName];
  return value !== undefined && cookieValue.test(value) ? new SessionCookie(cookieName, value) : undefined;
}
