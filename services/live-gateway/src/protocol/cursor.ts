/** A parsed cursor: the last applied entry id of each stream, and a hash of the client's view. */
export interface Cursor {
  readonly appliedIds: readonly string[];
  readonly view: string;
}

const entryId = /^(?:0|[1-9]\d{0,19})-(?:0|[1-9]\d{0,19})$/;

/** Identifies a client's view of an event: its devices and its box. */
export function viewOf(devicesHash: string, bboxHash: string): string {
  return bboxHash === '' ? devicesHash : `${devicesHash}.${bboxHash}`;
}

/** @param streamOffset the applied ids as `Timeline` joins them: `1732412345678-0,1732412345679-3`. */
export function encodeCursor(streamOffset: string, view: string): string {
  return `${streamOffset}/${view}`;
}

/** Parses a cursor from a client; undefined if it is not one. */
export function parseCursor(value: string): Cursor | undefined {
  const slashAt = value.indexOf('/');
  if (slashAt === -1) return undefined;
  const appliedIds = value.slice(0, slashAt).split(',');
  return appliedIds.every((id) => entryId.test(id))
    ? { appliedIds, view: value.slice(slashAt + 1) }
    : undefined;
}
