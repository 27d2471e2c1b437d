const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const eventPrefix = 'event:';

/**
 * Whether the string is a UUID as Postgres and Directus write it, in lower case. Upper case is rejected, not folded: an
 * event must have one name, or a client waits for frames of `event:AB…` that are sent as `event:ab…`.
 */
export function isUuid(value: string): boolean {
  return uuid.test(value);
}

export function eventTopic(eventId: string): string {
  return `${eventPrefix}${eventId}`;
}

/**
 * The event that a topic names, or undefined. The id must be a UUID: with `''`, `.`, `%2e` or `../../users/me` in its
 * place Directus answers 200 with other data.
 */
export function parseTopic(topic: string): { readonly eventId: string } | undefined {
  if (!topic.startsWith(eventPrefix)) return undefined;
  const eventId = topic.slice(eventPrefix.length);
  return isUuid(eventId) ? { eventId } : undefined;
}
