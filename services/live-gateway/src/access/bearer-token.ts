import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import type { Credential } from './visitor.ts';

const bearer = /^bearer +(.+)$/iu;
/** By RFC 6750, section 2.1: nothing that could end a header line. */
const tokenSyntax = /^[\w.~+/-]+=*$/u;

/** A visitor's token from `Authorization`, held only in memory. Printing or serialising the object gives a placeholder. */
export class BearerToken implements Credential {
  readonly kind = 'bearer';
  readonly hash: string;
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
    // Not the hash of a cookie with the same value: Directus may answer the two differently.
    this.hash = createHash('sha256').update(`bearer ${token}`).digest('base64url');
  }

  headers(): Readonly<Record<string, string>> {
    return { authorization: `Bearer ${this.#token}` };
  }

  toJSON(): string {
    return '[bearer token]';
  }

  [inspect.custom](): string {
    return '[bearer token]';
  }
}

/** The token in an `Authorization` header; undefined for another scheme or an invalid token. */
export function readBearerToken(authorization: string): BearerToken | undefined {
  const token = bearer.exec(authorization.trim())?.[1];
  return token === undefined ? undefined : parseBearerToken(token);
}

/** Undefined for an invalid token. */
export function parseBearerToken(token: string): BearerToken | undefined {
  return tokenSyntax.test(token) ? new BearerToken(token) : undefined;
}
