/** What is sent to Directus to say who a visitor is. */
export interface Credential {
  readonly kind: 'session' | 'bearer' | 'anonymous';
  /** Identifies it in caches; does not show its value. */
  readonly hash: string;
  headers(): Readonly<Record<string, string>>;
}

/** The credential of a visitor without one: Directus answers by its public policies, the same for all. */
export const anonymous: Credential = { kind: 'anonymous', hash: 'anonymous', headers: () => ({}) };

/** An unauthenticated client: what is sent to Directus for it. */
export interface Visitor {
  readonly credential: Credential;
  /** The client address determined by the gateway, never one that the client claims. */
  readonly address: string;
}

/** A visitor that was admitted. */
export interface Viewer extends Visitor {
  /** Undefined for an anonymous viewer. */
  readonly userId: string | undefined;
}
