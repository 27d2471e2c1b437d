import { encodeFields, type TelemetryRecord } from '@app/shared/entry';
import type { CodecReason } from '@app/shared/codec';

/** A record that no processor can store, as the fields of its entry. */
export interface BadRecord {
  readonly kind: string;
  /** What `dlq_reason` must say. */
  readonly reason: CodecReason;
  /** Flat: name, value, name, value, … */
  readonly fields: readonly (string | Buffer)[];
}

export interface BadSending {
  readonly sendAtMs: number;
  readonly bad: BadRecord;
}

/** Ten ways for a record to be broken, as bad firmware, bad lines and bad programs make them. */
const kinds: readonly { kind: string; reason: CodecReason; payload: (good: string) => string | Buffer }[] = [
  { kind: 'cut off in the middle', reason: 'not_json', payload: (good) => good.slice(0, good.length / 2) },
  {
    kind: 'a byte that is no UTF-8',
    reason: 'not_utf8',
    payload: (good) => Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from([0xc3, 0x28, 0x7d])]),
  },
  { kind: 'no latitude', reason: 'missing_field', payload: without('latitude') },
  { kind: 'the speed as a text', reason: 'wrong_type', payload: replaced('speed', '"fast"') },
  { kind: 'an infinite altitude', reason: 'not_finite', payload: replaced('altitude', '1e400') },
  { kind: 'beyond the pole', reason: 'out_of_range', payload: replaced('latitude', '90.0000001') },
  {
    kind: '30 February',
    reason: 'bad_timestamp',
    payload: replaced('timestamp', '"2026-02-30T12:00:00.000Z"'),
  },
  { kind: 'an IMEI with a blank', reason: 'bad_device_id', payload: replaced('device_id', '"0044 01"') },
  {
    kind: 'attributes that name a prototype',
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

export const garbageKinds = kinds.length;

/** A good record made bad, in the way numbered `index`; any whole number will do. */
export function spoil(record: TelemetryRecord, index: number): BadRecord {
  const chosen = kinds[index % kinds.length];
  if (chosen === undefined) throw new RangeError('the index must be a whole number, 0 or more');
  const fields = encodeFields(record);
  const payload = chosen.payload(fields.at(-1) ?? '');
  return { kind: chosen.kind, reason: chosen.reason, fields: [...fields.slice(0, -1), payload] };
}

/** The payload with another JSON text as one member's value: as text, for no JSON.stringify writes 1e400. */
function replaced(member: string, json: string): (good: string) => string {
  return (good) => {
    const placeholder = 'what is put in its place';
    const spoilt = JSON.stringify({ ...JSON.parse(good), [member]: placeholder });
    return spoilt.replace(JSON.stringify(placeholder), () => json);
  };
}

function without(member: string): (good: string) => string {
  return (good) => {
    return JSON.stringify({ ...JSON.parse(good), [member]: undefined });
  };
}
