/** A stream entry as it was read: its id and its flat field list, name, value, name, value, as bytes. */
export interface Entry {
  readonly id: string;
  readonly fields: readonly Buffer[];
  /** How often Redis has handed it out, this time included. */
  readonly deliveries: number;
}

/** Entries of one reply, and the ids whose bodies are no longer in the stream. */
export interface EntriesReply {
  readonly entries: readonly Entry[];
  readonly vanishedIds: readonly string[];
}

export const noEntries: EntriesReply = { entries: [], vanishedIds: [] };

/** XREADGROUP's reply for one stream: null, or `[[key, [[id, fields | null], …]]]`. */
export function parseReadReply(reply: unknown): EntriesReply {
  if (reply === null) return noEntries;
  const [stream] = list(reply);
  const [, entries] = list(stream);
  return parseEntries(entries ?? []);
}

/** XAUTOCLAIM's reply: `[cursor, entries, deleted ids]`. */
export function parseClaimReply(reply: unknown): EntriesReply & { readonly cursor: string } {
  const [cursor, entries, deletedIds] = list(reply);
  const claimed = parseEntries(entries ?? []);
  return {
    cursor: text(cursor),
    entries: claimed.entries,
    vanishedIds: [...claimed.vanishedIds, ...list(deletedIds ?? []).map(text)],
  };
}

/** XPENDING's extended reply, `[[id, consumer, idle ms, deliveries], …]`, as deliveries by id. */
export function parseDeliveries(reply: unknown): ReadonlyMap<string, number> {
  return new Map(list(reply).map((row) => [text(list(row)[0]), count(list(row)[3])]));
}

/** A flat `name, value, name, value` reply as a map; values stay as they came. */
export function parseInfo(reply: unknown): ReadonlyMap<string, unknown> {
  const flat = list(reply);
  const info = new Map<string, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) info.set(text(flat[i]), flat[i + 1] ?? null);
  return info;
}

export function list(reply: unknown): readonly unknown[] {
  if (!Array.isArray(reply)) throw unexpected('a list', reply);
  return reply;
}

export function text(reply: unknown): string {
  if (!Buffer.isBuffer(reply)) throw unexpected('a text', reply);
  return reply.toString('latin1');
}

export function count(reply: unknown): number {
  if (typeof reply !== 'number') throw unexpected('a number', reply);
  return reply;
}

function parseEntries(reply: unknown): EntriesReply {
  const entries: Entry[] = [];
  const vanishedIds: string[] = [];
  for (const row of list(reply)) {
    const [idBytes, fields] = list(row);
    const id = text(idBytes);
    if (fields === null || fields === undefined) vanishedIds.push(id);
    else entries.push({ id, fields: byteList(fields), deliveries: 1 });
  }
  return { entries, vanishedIds };
}

function byteList(reply: unknown): readonly Buffer[] {
  const items = list(reply);
  if (!items.every(isBytes)) throw unexpected('a list of texts', reply);
  return items;
}

function isBytes(item: unknown): item is Buffer {
  return Buffer.isBuffer(item);
}

function unexpected(wanted: string, got: unknown): Error {
  return new TypeError(`Redis answered ${got === null ? 'null' : typeof got} where ${wanted} was expected`);
}
