const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const eventPrefix = 'event:';
const resultsPrefix = 'results:';

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

export function resultsTopic(eventId: string): string {
  return `${resultsPrefix}${eventId}`;
}

export interface Topic {
  /** Positions of an event's devices, or its results. */
  readonly kind: 'event' | 'results';
  readonly eventId: string;
}

/**
 * Undefined if there is no such topic. The id must be a UUID: with `''`, `.`, `%2e` or `../../users/me` in its place
 * Directus answers 200 with other data.
 */
export function parseTopic(topic: string): Topic | undefined {
  const kind = topic.startsWith(eventPrefix)
    ? 'event'
    : topic.startsWith(resultsPrefix)
      ? 'results'
      : undefined;
  if (kind === undefined) return undefined;
  const eventId = topic.slice(kind === 'event' ? eventPrefix.length : resultsPrefix.length);
  return isUuid(eventId) ? { kind, eventId } : undefined;
}
