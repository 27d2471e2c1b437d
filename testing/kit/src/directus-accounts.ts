import { randomBytes } from 'node:crypto';
import {
  dataAnswer,
  forbidden,
  invalidCredentials,
  invalidToken,
  tokenExpired,
  userSuspended,
} from './directus-answers.ts';
import type { DirectusAnswer } from './directus-answers.ts';

type Session =
  | {
      readonly kind: 'user';
      readonly userId: string;
      isExpired: boolean;
      /** A static token: it never expires, and is refused once its user is suspended. */
      readonly isStatic?: true;
      /** After a refresh: when it ends, and the session that replaces it. */
      refreshed?: { readonly endsAtMs: number; readonly next: string };
    }
  | { readonly kind: 'share' }
  | { readonly kind: 'foreign' };

/** Sessions, and who may see which event. */
export class Accounts {
  readonly #sessions = new Map<string, Session>();
  /** By e-mail. */
  readonly #logins = new Map<string, { readonly userId: string; readonly password: string }>();
  readonly #allowed = new Map<string, Set<string>>();
  /** What the public policy shows: to requests without a token, not to users. */
  readonly #public = new Set<string>();
  readonly #incidentReaders = new Set<string>();
  readonly #suspended = new Set<string>();

  addSession(cookie: string, userId: string): void {
    this.#sessions.set(cookie, { kind: 'user', userId, isExpired: false });
  }

  /** A user's static token, for `Authorization: Bearer`. */
  addStaticToken(token: string, userId: string): void {
    this.#sessions.set(token, { kind: 'user', userId, isExpired: false, isStatic: true });
  }

  /** Suspends a user: sessions are still accepted, static tokens and refreshes are not. */
  suspend(userId: string): void {
    this.#suspended.add(userId);
  }

  allowPublic(eventId: string): void {
    this.#public.add(eventId.toLowerCase());
  }

  forbidPublic(eventId: string): void {
    this.#public.delete(eventId.toLowerCase());
  }

  /** The token of a shared link: `/users/me` answers it 200 without an id. */
  addShareToken(cookie: string): void {
    this.#sessions.set(cookie, { kind: 'share' });
  }

  /** A session signed by another key: 403 INVALID_TOKEN. */
  addForeignSession(cookie: string): void {
    this.#sessions.set(cookie, { kind: 'foreign' });
  }

  expireSession(cookie: string): void {
    const session = this.#sessions.get(cookie);
    if (session?.kind !== 'user') throw new Error('No session of a user has this cookie');
    session.isExpired = true;
  }

  /** `SESSION_REFRESH_GRACE_PERIOD`: how long a session that was refreshed is still accepted. */
  refreshGraceMs = 10_000;

  /** `POST /auth/refresh` in the mode `session`: the cookie of the next session, or the refusal. */
  refreshSession(cookie: string | undefined): string | DirectusAnswer {
    const session = cookie === undefined ? undefined : this.#sessions.get(cookie);
    const refusal = this.#refusal(session);
    if (refusal !== undefined) return refusal;
    if (session?.kind !== 'user' || session.isStatic === true) return invalidCredentials;
    if (this.#suspended.has(session.userId)) return userSuspended;
    // Refreshed again, by another tab, it names the same next session.
    if (session.refreshed === undefined) {
      const next = randomBytes(24).toString('base64url');
      this.addSession(next, session.userId);
      session.refreshed = { next, endsAtMs: Date.now() + this.refreshGraceMs };
    }
    return session.refreshed.next;
  }

  /** Refreshes a session that is valid; returns the cookie of the next one. */
  renewSession(cookie: string): string {
    const next = this.refreshSession(cookie);
    if (typeof next !== 'string') throw new Error('No valid session of a user has this cookie');
    return next;
  }

  /** Someone who can log in by e-mail and password. */
  addUser(user: { readonly userId: string; readonly email: string; readonly password: string }): void {
    this.#logins.set(user.email, { userId: user.userId, password: user.password });
  }

  allow(userId: string, eventId: string): void {
    const events = this.#allowed.get(userId) ?? new Set();
    this.#allowed.set(userId, events.add(eventId.toLowerCase()));
  }

  forbid(userId: string, eventId: string): void {
    this.#allowed.get(userId)?.delete(eventId.toLowerCase());
  }

  /** Lets a user read the collection `incidents`. */
  allowIncidents(userId: string): void {
    this.#incidentReaders.add(userId);
  }

  forbidIncidents(userId: string): void {
    this.#incidentReaders.delete(userId);
  }

  /** The cookie of a new session, or the refusal. */
  logIn(email: string, password: string): string | DirectusAnswer {
    const login = this.#logins.get(email);
    if (login?.password !== password) return invalidCredentials;
    const cookie = randomBytes(24).toString('base64url');
    this.addSession(cookie, login.userId);
    return cookie;
  }

  /** `/users/me` */
  me(cookie: string | undefined): DirectusAnswer {
    const session = cookie === undefined ? undefined : this.#sessions.get(cookie);
    if (session?.kind === 'share') {
      // 200 without an id: a client that accepts any 200 lets the holder of a shared link in.
      return dataAnswer({
        share: 'b2a9b1f0-6a0c-4c39-8d3e-5f0a7a6d1c11',
        role: { id: null, admin_access: false, app_access: false },
      });
    }
    const refusal = this.#refusal(session);
    if (refusal !== undefined) return refusal;
    return session?.kind === 'user' ? dataAnswer({ id: session.userId }) : invalidCredentials;
  }

  /** `/items/events/:id?fields=id`, with the decoded id. */
  event(cookie: string | undefined, id: string): DirectusAnswer {
    return this.#withEvents(cookie, (events) => {
      // Postgres compares UUIDs as numbers and returns them in lower case.
      const eventId = id.toLowerCase();
      return events.has(eventId) ? dataAnswer({ id: eventId }) : forbidden;
    });
  }

  /** `/items/events/`, the path of an empty id. */
  eventList(cookie: string | undefined): DirectusAnswer {
    return this.#withEvents(cookie, (events) => dataAnswer([...events].map((id) => ({ id }))));
  }

  /** `/items/incidents`, whose rows are not here. */
  incidents(cookie: string | undefined): DirectusAnswer {
    const session = cookie === undefined ? undefined : this.#sessions.get(cookie);
    const refusal = cookie === undefined ? undefined : this.#refusal(session);
    if (refusal !== undefined) return refusal;
    return session?.kind === 'user' && this.#incidentReaders.has(session.userId) ? dataAnswer([]) : forbidden;
  }

  #withEvents(
    cookie: string | undefined,
    answer: (events: ReadonlySet<string>) => DirectusAnswer,
  ): DirectusAnswer {
    // Without a token the request is public; a wrong token is refused.
    if (cookie === undefined) return answer(this.#public);
    const session = this.#sessions.get(cookie);
    const refusal = this.#refusal(session);
    if (refusal !== undefined) return refusal;
    if (session?.kind !== 'user') return forbidden;
    return answer(this.#allowed.get(session.userId) ?? new Set());
  }

  #refusal(session: Session | undefined): DirectusAnswer | undefined {
    if (session === undefined) return invalidCredentials;
    if (session.kind === 'foreign') return invalidToken;
    if (session.kind === 'share') return undefined;
    if (session.isStatic === true && this.#suspended.has(session.userId)) return invalidCredentials;
    if (session.refreshed !== undefined && session.refreshed.endsAtMs <= Date.now())
      return invalidCredentials;
    return session.isExpired ? tokenExpired : undefined;
  }
}
