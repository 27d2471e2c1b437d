const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const eventPrefix = 'event:';

/**
 * Whether the text is a UUID as Postgres and Directus write it, in lower case. Upper case is refused, not folded: one
 * event must have one name, or a client waits for frames of `event:AB…` that are sent as `event:ab…`.
 */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

export function eventTopic(eventId: string): string {
  return `${eventPrefix}${eventId}`;
}

/**
 * The event that a topic names, or undefined. The id is a UUID and nothing else: Directus answers 200 to `''`, `.`,
 * `%2e` and `../../users/me` in its place, with other data.
 */
export function parseTopic(text: string): { readonly eventId: string } | undefined {
  if (!text.startsWith(eventPrefix)) return undefined;
  const eventId = text.slice(eventPrefix.length);
  return isUuid(eventId) ? { eventId } : undefined;
}
