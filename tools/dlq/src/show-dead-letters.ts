import type { Redis } from 'ioredis';
import { printable, textOf } from './printable.ts';
import { reasonOf, type Selection, selectLetters, type StoredLetter } from './select-letters.ts';

/** A field's name or value: `text` where the bytes are UTF-8, else `base64`. Both give the bytes back. */
type Bytes = { readonly text: string } | { readonly base64: string };

export interface ShownLetter {
  readonly stream: string;
  readonly id: string;
  readonly parkedAt: string;
  readonly reason: string;
  readonly detail: string;
  readonly sqlState: string;
  readonly entryId: string;
  readonly deliveries: number;
  readonly consumer: string;
  /** As the entry was sent. */
  readonly fields: readonly { readonly name: Bytes; readonly value: Bytes }[];
}

/** The first `limit` letters with all that they hold. */
export async function showLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
  limit: number,
): Promise<readonly ShownLetter[]> {
  const shown: ShownLetter[] = [];
  for await (const stored of selectLetters(redis, stream, selection)) {
    if (shown.length === limit) break;
    shown.push(describe(stream, stored));
  }
  return shown;
}

export function printLetter(letter: ShownLetter): string {
  const about = [
    ['reason', letter.reason],
    ['detail', letter.detail],
    ['sqlstate', letter.sqlState],
    ['parked at', letter.parkedAt],
    ['by', letter.consumer],
    ['entry', letter.entryId],
    ['deliveries', String(letter.deliveries)],
  ]
    .filter(([, value]) => value !== '')
    .map(([name = '', value = '']) => `  ${name.padEnd(10)}  ${printable(value)}`);
  const fields = letter.fields.map(({ name, value }) => `    ${written(name)}: ${written(value)}`);
  return [`${printable(letter.stream)} ${letter.id}`, ...about, '  fields', ...fields].join('\n');
}

function describe(stream: string, stored: StoredLetter): ShownLetter {
  const { id, parkedAtMs, letter } = stored;
  const fields = letter?.fields ?? stored.fields;
  return {
    stream,
    id,
    parkedAt: new Date(parkedAtMs).toISOString(),
    reason: reasonOf(stored),
    detail: letter?.cause.dlq_detail ?? 'the processor did not write this; all of its fields follow',
    sqlState: letter?.cause.dlq_sqlstate ?? '',
    entryId: letter?.cause.dlq_entry_id ?? '',
    deliveries: Number(letter?.cause.dlq_deliveries ?? 0),
    consumer: letter?.cause.dlq_consumer ?? '',
    fields: Array.from({ length: Math.ceil(fields.length / 2) }, (_, n) => ({
      name: bytesOf(fields[2 * n] ?? Buffer.of()),
      value: bytesOf(fields[2 * n + 1] ?? Buffer.of()),
    })),
  };
}

function bytesOf(bytes: Buffer): Bytes {
  const text = textOf(bytes);
  return text === undefined ? { base64: bytes.toString('base64') } : { text };
}

function written(bytes: Bytes): string {
  return 'text' in bytes ? printable(bytes.text) : `(base64) ${bytes.base64}`;
}
