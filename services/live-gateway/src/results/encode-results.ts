import type { MessageId } from '@app/shared/messages';
import { maxChunkBytes } from '@app/shared/protocol';
import { encodeReply } from '../protocol/replies.ts';

/** What clients are sent, by table: rows and keys as JSON. */
export interface EncodedChanges {
  readonly set: ReadonlyMap<string, readonly string[]>;
  readonly removed: ReadonlyMap<string, readonly string[]>;
}

/** What the last frame says: the revision that it completes. */
export interface CompletedRevision {
  readonly revision: number;
  readonly cursor: string;
}

/** Bytes of a frame besides rows and keys: its topic, revision and cursor. */
const envelopeBytes = 320;
/** Besides its content: quotes, brackets and commas. */
const itemBytes = 8;

/** `results` frames below `maxChunkBytes`, at least one. */
export function encodeResults(
  topic: string,
  { set, removed }: EncodedChanges,
  completed: CompletedRevision,
): readonly Uint8Array[] {
  const parts: Part[] = [];
  let bytesLeft = 0;
  const add = (field: keyof Part, table: string, item: string): void => {
    const bytes = Buffer.byteLength(item) + table.length + itemBytes;
    let part = parts.at(-1);
    if (part === undefined || bytes > bytesLeft) {
      part = { set: new Map(), removed: new Map() };
      parts.push(part);
      bytesLeft = maxChunkBytes - envelopeBytes;
    }
    bytesLeft -= bytes;
    const items = part[field].get(table);
    if (items === undefined) part[field].set(table, [item]);
    else items.push(item);
  };
  for (const [table, items] of set) for (const item of items) add('set', table, item);
  for (const [table, items] of removed) for (const item of items) add('removed', table, item);
  if (parts.length === 0) parts.push({ set: new Map(), removed: new Map() });
  return parts.map((part, at) =>
    Buffer.from(encodePart(topic, part, at === parts.length - 1 ? completed : undefined)),
  );
}

/**
 * The answer to `subscribe`. With `reset` a snapshot follows; with a revision nothing does, since the client holds it
 * already; otherwise the changes since its cursor.
 */
export function resultsReply(
  topic: string,
  id: MessageId | undefined,
  answer: { readonly reset?: true } & Partial<CompletedRevision>,
): string {
  return encodeReply({ type: 'results', topic, id, ...answer });
}

/** Tells a client to forget what it holds; a snapshot follows. */
export function resultsReset(topic: string): string {
  return encodeReply({ type: 'results', topic, reset: true });
}

interface Part {
  readonly set: Map<string, string[]>;
  readonly removed: Map<string, string[]>;
}

function encodePart(topic: string, { set, removed }: Part, completed: CompletedRevision | undefined): string {
  const fields = [
    `"type":"results","topic":${JSON.stringify(topic)}`,
    ...(set.size > 0 ? [`"set":${encodeTables(set)}`] : []),
    ...(removed.size > 0 ? [`"removed":${encodeTables(removed)}`] : []),
    ...(completed ? [`"revision":${completed.revision},"cursor":${JSON.stringify(completed.cursor)}`] : []),
  ];
  return `{${fields.join(',')}}`;
}

function encodeTables(tables: ReadonlyMap<string, readonly string[]>): string {
  return `{${[...tables].map(([table, items]) => `${JSON.stringify(table)}:[${items.join(',')}]`).join(',')}}`;
}
