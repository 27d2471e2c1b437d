/** What a cursor says: what was applied of each stream, and what the client was shown. */
export interface Cursor {
  readonly appliedIds: readonly string[];
  readonly view: string;
}

const entryId = /^(?:0|[1-9]\d{0,19})-(?:0|[1-9]\d{0,19})$/;

/** Of a client's view of an event: its devices, and the box through which they are seen. */
export function viewOf(rosterHash: string, bboxHash: string): string {
  return bboxHash === '' ? rosterHash : `${rosterHash}.${bboxHash}`;
}

/** @param position the applied ids as `Timeline` writes them: `1732412345678-0,1732412345679-3`. */
export function encodeCursor(position: string, view: string): string {
  return `${position}/${view}`;
}

/** Reads what a client gives back; undefined if it is no cursor of ours. */
export function parseCursor(text: string): Cursor | undefined {
  const slashAt = text.indexOf('/');
  if (slashAt === -1) return undefined;
  const appliedIds = text.slice(0, slashAt).split(',');
  return appliedIds.every((id) => entryId.test(id))
    ? { appliedIds, view: text.slice(slashAt + 1) }
    : undefined;
}
