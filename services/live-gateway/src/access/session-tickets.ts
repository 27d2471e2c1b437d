import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { readSessionCookie } from './session-cookie.ts';
import type { SessionCookie } from './session-cookie.ts';

/** Long enough to send it back, short enough that a leaked ticket is useless. */
const ticketTtlMs = 30_000;
const cipherName = 'aes-256-gcm';
const ivBytes = 12;
const tagBytes = 16;
/** Expiry of a ticket before the cookie: milliseconds in hexadecimal. */
const expiryLength = 12;

/**
 * Session tickets hand a new session over to an open connection. A page cannot read its session cookie, and behind a
 * load balancer its HTTP request reaches any replica: so any replica seals the cookie of the request in a ticket, the
 * page sends the ticket over the connection, and the connection's replica opens it. All replicas share the key.
 *
 * A ticket is encrypted and authenticated. It names one connection, so that no other connection can use it.
 */
export class SessionTickets {
  readonly #key: Uint8Array;
  readonly #cookieName: string;
  readonly #nowMs: () => number;

  constructor(secret: string, cookieName: string, nowMs: () => number) {
    this.#key = new Uint8Array(hkdfSync('sha256', secret, '', 'live-gateway session ticket', 32));
    this.#cookieName = cookieName;
    this.#nowMs = nowMs;
  }

  seal(cookie: SessionCookie, connectionId: string): string {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv(cipherName, this.#key, iv).setAAD(Buffer.from(connectionId));
    const expiry = (this.#nowMs() + ticketTtlMs).toString(16).padStart(expiryLength, '0');
    const sealed = Buffer.concat([cipher.update(expiry + cookie.header()), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** Undefined for a ticket of another connection or key, and for one that has expired or was changed. */
  open(ticket: string, connectionId: string): SessionCookie | undefined {
    const bytes = Buffer.from(ticket, 'base64url');
    const sealedAt = ivBytes + tagBytes;
    if (bytes.byteLength <= sealedAt + expiryLength) return undefined;
    const decipher = createDecipheriv(cipherName, this.#key, bytes.subarray(0, ivBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(Buffer.from(connectionId)).setAuthTag(bytes.subarray(ivBytes, sealedAt));
    let opened: string;
    try {
      opened = Buffer.concat([decipher.update(bytes.subarray(sealedAt)), decipher.final()]).toString();
    } catch {
      return undefined;
    }
    if (Number.parseInt(opened.slice(0, expiryLength), 16) <= this.#nowMs()) return undefined;
    return readSessionCookie(opened.slice(expiryLength), this.#cookieName);
  }
}
