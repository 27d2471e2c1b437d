import { encodeFields, type TelemetryRecord } from '@app/shared/entry';
import type { CodecReason } from '@app/shared/codec';

/** The fields of an entry that no processor can store. */
export interface BadRecord {
  readonly kind: string;
  /** The expected `dlq_reason`. */
  readonly reason: CodecReason;
  /** Flat: name, value, name, value, … */
  readonly fields: readonly (string | Buffer)[];
}

export interface TimedBadRecord {
  readonly sendAtMs: number;
  readonly bad: BadRecord;
}

/** Ways in which faulty firmware, connections and programs break records. */
const kinds: readonly { kind: string; reason: CodecReason; payload: (good: string) => string | Buffer }[] = [
  { kind: 'truncated', reason: 'not_json', payload: (good) => good.slice(0, good.length / 2) },
  {
    kind: 'invalid UTF-8',
    reason: 'not_utf8',
    payload: (good) => Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from([0xc3, 0x28, 0x7d])]),
  },
  { kind: 'no latitude', reason: 'missing_field', payload: without('latitude') },
  { kind: 'speed as a string', reason: 'wrong_type', payload: replaced('speed', '"fast"') },
  { kind: 'infinite altitude', reason: 'not_finite', payload: replaced('altitude', '1e400') },
  { kind: 'latitude above 90', reason: 'out_of_range', payload: replaced('latitude', '90.0000001') },
  {
    kind: '30 February',
    reason: 'bad_timestamp',
    payload: replaced('timestamp', '"2026-02-30T12:00:00.000Z"'),
  },
  { kind: 'IMEI with a space', reason: 'bad_device_id', payload: replaced('device_id', '"0044 01"') },
  { kind: 'latitude twice', reason: 'duplicate_key', payload: replaced('latitude', '48.1,"latitude":48.2') },
  {
    kind: 'an attribute twice',
    reason: 'duplicate_key',
    payload: replaced('attributes', '{"239":1,"240":0,"239":0}'),
  },
  {
    kind: 'an attribute too small for a double',
    reason: 'out_of_range',
    payload: replaced('attributes', '{"239":1e-400}'),
  },
  {
    kind: 'a leap second',
    reason: 'bad_timestamp',
    payload: replaced('timestamp', '"2016-12-31T23:59:60Z"'),
  },
  {
    kind: '__proto__ among the attributes',
    reason: 'bad_key',
    payload: replaced('attributes', '{"239":1,"__proto__":{"admin":1}}'),
  },
  {
    kind: '256 attributes',
    reason: 'too_many_attributes',
    payload: replaced(
      'attributes',
      JSON.stringify(Object.fromEntries(Array.from({ length: 256 }, (_, io) => [io, 1]))),
    ),
  },
];

export const corruptionKinds = kinds.length;

/** Corrupts a valid record in one of `corruptionKinds` ways, chosen by `index` modulo their number. */
export function corrupt(record: TelemetryRecord, index: number): BadRecord {
  const chosen = kinds[index % kinds.length];
  if (chosen === undefined) throw new RangeError('index must be an integer of at least 0');
  const fields = encodeFields(record);
  const payload = chosen.payload(fields.at(-1) ?? '');
  return { kind: chosen.kind, reason: chosen.reason, fields: [...fields.slice(0, -1), payload] };
}

/** Replaces a member's value by raw JSON, since JSON.stringify cannot write 1e400. */
function replaced(member: string, json: string): (good: string) => string {
  return (good) => {
    const placeholder = 'placeholder';
    const corrupted = JSON.stringify({ ...JSON.parse(good), [member]: placeholder });
    return corrupted.replace(JSON.stringify(placeholder), () => json);
  };
}

function without(member: string): (good: string) => string {
  return (good) => JSON.stringify({ ...JSON.parse(good), [member]: undefined });
}
