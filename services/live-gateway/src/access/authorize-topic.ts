import type { Topic } from '@app/shared/topics';
import type { AuthorizeIncidents } from './authorize-incidents.ts';
import type { Authorize, Permission } from './authorize.ts';
import type { Visitor } from './visitor.ts';

export type Refusal = Exclude<Permission, { kind: 'allowed' }>;

export type TopicPermission =
  | Refusal
  /** `mayReadIncidents` of results only. */
  | { readonly kind: 'allowed'; readonly mayReadIncidents: boolean };

/** Checks whether a visitor may see a topic, and how much of it. `notBeforeMs` as of `Authorize`. */
export type AuthorizeTopic = (
  visitor: Visitor,
  topic: Topic,
  notBeforeMs?: number,
) => Promise<TopicPermission>;

export function createAuthorizeTopic(
  authorize: Authorize,
  authorizeIncidents: AuthorizeIncidents,
): AuthorizeTopic {
  return async (visitor, { kind, eventId }, notBeforeMs) => {
    const permission = await authorize(visitor, eventId, notBeforeMs);
    if (permission.kind !== 'allowed') return permission;
    if (kind === 'event') return { kind: 'allowed', mayReadIncidents: false };
    const incidents = await authorizeIncidents(visitor, notBeforeMs);
    return incidents.kind === 'known' ? { kind: 'allowed', mayReadIncidents: incidents.mayRead } : incidents;
  };
}
