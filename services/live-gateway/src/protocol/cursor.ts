/** A decoded cursor. */
export interface Cursor {
  /** Of each stream, the id up to which the client has been sent everything. */
  readonly appliedIds: readonly string[];
  readonly viewHash: string;
}

const entryId = /^(?:0|[1-9]\d{0,19})-(?:0|[1-9]\d{0,19})$/;

/** Identifies what a client may see of an event: its devices, and the box they are filtered by. */
export function hashView(devicesHash: string, bboxHash: string): string {
  return bboxHash === '' ? devicesHash : `${devicesHash}.${bboxHash}`;
}

/** @param streamOffset see `Timeline.streamOffset`: `1732412345678-0,1732412345679-3`. */
export function encodeCursor(streamOffset: string, viewHash: string): string {
  return `${streamOffset}/${viewHash}`;
}

/** @returns undefined if the string is not a cursor. */
export function decodeCursor(cursor: string): Cursor | undefined {
  const slashAt = cursor.indexOf('/');
  if (slashAt === -1) return undefined;
  const appliedIds = cursor.slice(0, slashAt).split(',');
  return appliedIds.every((id) => entryId.test(id))
    ? { appliedIds, viewHash: cursor.slice(slashAt + 1) }
    : undefined;
}
