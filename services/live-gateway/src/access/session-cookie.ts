import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { parseCookie } from 'cookie';

/** A cookie value by RFC 6265, section 4.1.1, quotes included: nothing that could end a header line. */
const cookieValue = /^"?[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+"?$/;

/**
 * A visitor's session cookie, held only in memory. Only `header()` returns the value; printing or serialising the object
 * gives a placeholder, so that no log line can contain a session.
 */
export class SessionCookie {
  readonly #header: string;
  /** SHA-256 of the value, the key of a session in caches. */
  readonly hash: string;

  constructor(name: string, value: string) {
    this.#header = `${name}=${value}`;
    this.hash = createHash('sha256').update(value).digest('base64url');
  }

  /** The `Cookie` header for Directus, without the browser's other cookies. */
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
 * The session cookie in a `Cookie` header; undefined if it is missing or invalid. The value is not decoded: Directus
 * must get the bytes that the browser sent.
 */
export function readSessionCookie(cookieHeader: string, cookieName: string): SessionCookie | undefined {
  const value = parseCookie(cookieHeader, { decode: (encoded) => encoded })[cookieName];
  return value !== undefined && cookieValue.test(value) ? new SessionCookie(cookieName, value) : undefined;
}
