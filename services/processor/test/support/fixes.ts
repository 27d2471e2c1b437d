import { CodecError } from '@app/shared/codec';
import { encodeFields, decodeFields, type DecodedRecord } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import { decodeEntries } from '../../src/pipeline/decode-entries.ts';
import type { Fix, Rejected } from '../../src/fix.ts';
import { encodeDeadLetter } from '../../src/stream/dead-letter.ts';
import type { EncodedDeadLetter } from '../../src/stream/write-dead-letters.ts';
import type { Entry } from '../../src/stream/entry-reply.ts';
import { record, type SentEntry } from './telemetry.ts';

/** An entry with the given fields: names and values in turn. */
export function entryOf(id: string, fields: readonly (string | Buffer)[], deliveries = 1): Entry {
  return { id, fields: fields.map((field) => Buffer.from(field)), deliveries };
}

/** The record with these values, as the processor decodes it. */
export function decoded(position: Partial<Position> = {}): DecodedRecord {
  const result = decodeFields(encodeFields(record(position)).map((field) => Buffer.from(field)));
  if (result instanceof CodecError) throw new TypeError(result.detail);
  return result;
}

/** A decoded fix with these values that arrived a second after its fix time. */
export function fix(position: Partial<Position> = {}, entryId?: string, pastLimitMs?: number): Fix {
  const sent = record(position);
  return decode(entryOf(entryId ?? `${sent.position.fixAtMs + 1000}-0`, encodeFields(sent)), pastLimitMs);
}

/** The fix of an entry of a stream. */
export function fixOf({ id, fields }: SentEntry): Fix {
  return decode(entryOf(id, fields));
}

function decode(entry: Entry, pastLimitMs = Infinity): Fix {
  const { fixes, rejected } = decodeEntries([entry], {
    futureFlagMs: 120_000,
    futureLimitMs: Infinity,
    pastLimitMs,
  });
  const [first] = fixes;
  if (first === undefined) throw new Error(`no fix: ${rejected[0]?.detail ?? ''}`);
  return first;
}

/** The dead letter of a rejected entry, to be written. */
export function deadLetterOf(rejected: Rejected): EncodedDeadLetter {
  const { entry, reason } = rejected;
  return {
    entryId: entry.id,
    reason,
    fields: encodeDeadLetter(rejected, 'processor-1', new Date().toISOString()),
  };
}
