import type { Redis } from 'ioredis';
import { decodeUtf8, printable } from './printable.ts';
import {
  type Selection,
  selectDeadLetters,
  type StoredEntry,
  summarise,
  type Summary,
} from './select-dead-letters.ts';

/** A field's name or value without loss: `text` if the bytes are valid UTF-8, otherwise `base64`. */
type Bytes = { readonly text: string } | { readonly base64: string };

export interface ShownDeadLetter extends Summary {
  readonly stream: string;
  readonly detail: string;
  readonly consumer: string;
  /** The original fields of the entry. */
  readonly fields: readonly { readonly name: Bytes; readonly value: Bytes }[];
}

/** The first `limit` dead letters with their content. */
export async function showDeadLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
  limit: number,
): Promise<readonly ShownDeadLetter[]> {
  const shown: ShownDeadLetter[] = [];
  for await (const stored of selectDeadLetters(redis, stream, selection)) {
    if (shown.length === limit) break;
    shown.push(toShown(stream, stored));
  }
  return shown;
}

export function printDeadLetter(shown: ShownDeadLetter): string {
  const about = [
    ['reason', shown.reason],
    ['detail', shown.detail],
    ['sqlstate', shown.sqlState],
    ['dead-lettered at', shown.deadLetteredAt],
    ['consumer', shown.consumer],
    ['entry', shown.entryId],
    ['deliveries', String(shown.deliveries)],
  ]
    .filter(([, value]) => value !== '')
    .map(([name = '', value = '']) => `  ${name.padEnd(16)}  ${printable(value)}`);
  const fields = shown.fields.map(({ name, value }) => `    ${printBytes(name)}: ${printBytes(value)}`);
  return [`${printable(shown.stream)} ${shown.id}`, ...about, '  fields', ...fields].join('\n');
}

function toShown(stream: string, stored: StoredEntry): ShownDeadLetter {
  const fields = stored.deadLetter?.fields ?? stored.fields;
  return {
    stream,
    ...summarise(stored),
    detail: stored.deadLetter?.cause.dlq_detail ?? 'not written by the processor; all fields follow',
    consumer: stored.deadLetter?.cause.dlq_consumer ?? '',
    fields: Array.from({ length: Math.ceil(fields.length / 2) }, (_, n) => ({
      name: toBytes(fields[2 * n] ?? Buffer.of()),
      value: toBytes(fields[2 * n + 1] ?? Buffer.of()),
    })),
  };
}

function toBytes(bytes: Buffer): Bytes {
  const text = decodeUtf8(bytes);
  return text === undefined ? { base64: bytes.toString('base64') } : { text };
}

function printBytes(bytes: Bytes): string {
  return 'text' in bytes ? printable(bytes.text) : `(base64) ${bytes.base64}`;
}
