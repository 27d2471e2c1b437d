import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { parseCookie } from 'cookie';
import type { Credential } from './visitor.ts';

/** A cookie value by RFC 6265, section 4.1.1, quotes included: nothing that could end a header line. */
const cookieValue = /^"?[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+"?$/;

/**
 * A visitor's session cookie, held only in memory. Only `header()` and `headers()` return the value; printing or serialising the object
 * gives a placeholder, so that no log line can contain a session.
 */
export class SessionCookie implements Credential {
  readonly kind = 'session';
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

  headers(): Readonly<Record<string, string>> {
    return { cookie: this.#header };
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
  const value = rawCookie(cookieHeader, cookieName);
  return value !== undefined && cookieValue.test(value) ? new SessionCookie(cookieName, value) : undefined;
}

/** Whether a `Cookie` header has this cookie with a value, valid or not. */
export function hasCookie(cookieHeader: string, cookieName: string): boolean {
  return (rawCookie(cookieHeader, cookieName) ?? '') !== '';
}

function rawCookie(cookieHeader: string, cookieName: string): string | undefined {
  return parseCookie(cookieHeader, { decode: (encoded) => encoded })[cookieName];
}
