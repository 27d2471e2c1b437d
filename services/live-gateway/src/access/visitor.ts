import type { SessionCookie } from './session-cookie.ts';

/** An unauthenticated client: what is sent to Directus for it. */
export interface Visitor {
  readonly cookie: SessionCookie;
  /** The client address determined by the gateway, never one that the client claims. */
  readonly address: string;
}

/** An authenticated visitor. */
export interface Viewer extends Visitor {
  readonly userId: string;
}
