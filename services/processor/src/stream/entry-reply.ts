import { maxPayloadBytes } from '@app/shared/codec';
import type { RawRecord } from '@app/shared/entry';
import type { Codec } from '@app/shared/position';
import { ReplyCursor } from './resp-reply.ts';

const payloadName = Buffer.from('payload');
const codecName = Buffer.from('codec');
const codecs = (['8E', '8', '16'] as const).map((codec) => ({ codec, name: Buffer.from(codec) }));

/** A stream entry: its id and its fields, name, value, name, value, as bytes. */
export interface Entry {
  readonly id: string;
  readonly fields: readonly Buffer[];
  /** The record, if the fields contain exactly one; otherwise the codec reports what is wrong. */
  readonly record?: RawRecord | undefined;
  /** Delivery count, including this one. */
  readonly deliveries: number;
}

/** An entry within its reply, which stays in memory as long as the entry's batch; fields are parsed when they are read. */
export class ReceivedEntry implements Entry {
  readonly id: string;
  readonly deliveries: number;
  readonly #reply: Buffer;
  /** Offset of the field list. */
  readonly #at: number;

  constructor(id: string, reply: Buffer, at: number, deliveries = 1) {
    this.id = id;
    this.deliveries = deliveries;
    this.#reply = reply;
    this.#at = at;
  }

  get fields(): readonly Buffer[] {
    const reply = new ReplyCursor(this.#reply, this.#at);
    const fields: Buffer[] = [];
    for (let left = reply.list() ?? 0; left > 0; left -= 1) fields.push(reply.view());
    return fields;
  }

  /** Parses only the two fields needed: a Buffer for each field would take longer. */
  get record(): RawRecord | undefined {
    const reply = new ReplyCursor(this.#reply, this.#at);
    let payload: string | Buffer | undefined;
    let codec: Codec | undefined;
    for (let left = reply.list() ?? 0; left > 0; left -= 2) {
      const isPayload = reply.isAt(payloadName);
      const isCodec = reply.isAt(codecName);
      if ((isPayload && payload !== undefined) || (isCodec && codec !== undefined)) return undefined;
      reply.skipString();
      if (isPayload) payload = reply.utf8(maxPayloadBytes);
      else if (isCodec) codec = readCodec(reply);
      else reply.skipString();
      if (isCodec && codec === undefined) return undefined;
    }
    return payload === undefined || codec === undefined ? undefined : { payload, codec };
  }

  deliveredTimes(deliveries: number): ReceivedEntry {
    return new ReceivedEntry(this.id, this.#reply, this.#at, deliveries);
  }
}

function readCodec(reply: ReplyCursor): Codec | undefined {
  for (const { codec, name } of codecs) {
    if (!reply.isAt(name)) continue;
    reply.skipString();
    return codec;
  }
  return undefined;
}

/** The entries of one reply, and pending ids whose entries are no longer in the stream. */
export interface EntriesReply {
  readonly entries: readonly ReceivedEntry[];
  readonly vanishedIds: readonly string[];
  /** Size of the fields of all entries. */
  readonly bytes: number;
}

const noEntries: EntriesReply = { entries: [], vanishedIds: [], bytes: 0 };

/** XREADGROUP's reply for one stream: null, or `[[key, [[id, fields | null], …]]]`. */
export function parseEntriesReply(reply: ReplyCursor): EntriesReply {
  if (reply.list() === undefined) return noEntries;
  reply.list();
  reply.skipString();
  return readRows(reply);
}

export interface ClaimReply extends EntriesReply {
  /** `0-0` after the last page. */
  readonly cursor: string;
}

/** XAUTOCLAIM's reply: `[cursor, entries, deleted ids]`. */
export function parseClaimReply(reply: ReplyCursor): ClaimReply {
  const parts = reply.list() ?? 0;
  const cursor = reply.text();
  const { entries, vanishedIds, bytes } = readRows(reply);
  // Redis 6 sends no third part.
  const deletedIds = Array.from({ length: parts > 2 ? (reply.list() ?? 0) : 0 }, () => reply.text());
  return { cursor, entries, vanishedIds: [...vanishedIds, ...deletedIds], bytes };
}

/** XPENDING's extended reply, `[[id, consumer, idle ms, deliveries], …]`, as deliveries by id. */
export function parseDeliveries(reply: unknown): ReadonlyMap<string, number> {
  return new Map(list(reply).map((row) => [text(list(row)[0]), count(list(row)[3])]));
}

/** A flat `name, value, name, value` reply as a map. */
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
  if (!Buffer.isBuffer(reply)) throw unexpected('a string', reply);
  return reply.toString('latin1');
}

export function count(reply: unknown): number {
  if (typeof reply !== 'number') throw unexpected('a number', reply);
  return reply;
}

function readRows(reply: ReplyCursor): EntriesReply {
  const entries: ReceivedEntry[] = [];
  const vanishedIds: string[] = [];
  let bytes = 0;
  for (let rows = reply.list() ?? 0; rows > 0; rows -= 1) {
    reply.list();
    const id = reply.text();
    const { at } = reply;
    const fields = reply.list();
    if (fields === undefined) vanishedIds.push(id);
    else entries.push(new ReceivedEntry(id, reply.bytes, at));
    for (let left = fields ?? 0; left > 0; left -= 1) bytes += reply.skipString();
  }
  return { entries, vanishedIds, bytes };
}

function unexpected(wanted: string, got: unknown): Error {
  return new TypeError(`Redis answered ${got === null ? 'null' : typeof got} where ${wanted} was expected`);
}
