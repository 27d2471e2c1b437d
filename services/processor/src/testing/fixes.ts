import type { Position } from '@app/shared/position';
import { fixQuality } from '@app/shared/quality';
import type { Fix } from '../core/decode-entries.ts';
import type { Entry } from '../core/entry-reply.ts';
import { record, type SentEntry } from './telemetry.ts';

/** An entry as it is read, with the given fields: names and values in turn. */
export function entryOf(id: string, fields: readonly (string | Buffer)[], deliveries = 1): Entry {
  return { id, fields: fields.map((field) => Buffer.from(field)), deliveries };
}

/** A decoded fix that arrived a second after its time; what the test is about is given, all else is plain. */
export function fix(position: Partial<Position> = {}, entryId?: string): Fix {
  const decoded = record(position);
  const { fixAtMs } = decoded.position;
  const arrivedAtMs = fixAtMs + 1000;
  return {
    ...decoded,
    entry: entryOf(entryId ?? `${arrivedAtMs}-0`, []),
    arrivedAtMs,
    quality: fixQuality(decoded.position, arrivedAtMs, 120_000),
  };
}

/** The fix of an entry that was put on a stream. */
export function fixOf({ id, fields, position }: SentEntry): Fix {
  return { ...fix(position, id), entry: { id, fields, deliveries: 1 } };
}
