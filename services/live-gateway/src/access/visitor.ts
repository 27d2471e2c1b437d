import type { SessionCookie } from './session-cookie.ts';

/** Somebody who asks to be let in: all that Directus is told about them. */
export interface Visitor {
  readonly cookie: SessionCookie;
  /** One address, worked out by the gateway, never what the client claimed. */
  readonly address: string;
}

/** A visitor whom Directus knows. */
export interface Viewer extends Visitor {
  readonly userId: string;
}
