import { checkAttributes, encodeAttributes, isJsonObject } from './attributes.ts';
import { deviceIdPattern, flushToZero, maxAbs } from './bounds.ts';
import { CodecError } from './codec-error.ts';
import { findCanonicalAttributes } from './canonical-attributes.ts';
import { encodeExactAttributes } from './exact-attributes.ts';
import { findRepeatedKey, readMembers } from './json-members.ts';
import type { DecodedPosition, Position, Priority } from './position.ts';
import { latestTimestampMs, parseTimestamp } from './timestamp.ts';
import { isLongerThan } from './utf8.ts';

export { decodeAttributes, encodeAttributes } from './attributes.ts';
export { CodecError, type CodecReason } from './codec-error.ts';

/** Longest payload that is decoded, in bytes of UTF-8. */
export const maxPayloadBytes = 65_536;

// A byte order mark is kept, and then rejected by JSON.parse: RFC 8259 forbids it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Decodes the `payload` of a stream entry. Attributes in the form that `encodePosition` writes are passed through
 * unparsed, others are encoded again, with every digit of their numbers. A repeated key is an error.
 *
 * Never throws, takes linear time, and ignores unknown fields. The `positions` table accepts every position returned.
 */
export function decodePosition(payload: Uint8Array | string): DecodedPosition | CodecError {
  const payloadJson = decodeUtf8(payload);
  if (typeof payloadJson !== 'string') return payloadJson;
  const canonical = findCanonicalAttributes(payloadJson);
  const parsedJson = canonical === undefined ? payloadJson : `${payloadJson.slice(0, canonical.at)}null}`;
  const json = parseObject(parsedJson);
  if (json instanceof CodecError) return json;
  const fields = decodeFixedFields(json, canonical === undefined ? '' : payloadJson.slice(canonical.at, -1));
  if (fields instanceof CodecError || canonical?.mayHaveOtherMembers === false) return fields;
  const members = readMembers(parsedJson, parsedJson.indexOf('{'));
  const repeatedField = findRepeatedKey(members.filter(({ key }) => fieldNames.has(key)));
  if (repeatedField !== undefined) {
    return new CodecError('duplicate_key', `${repeatedField} must be present once`);
  }
  if (canonical !== undefined) return fields;
  // Valid UTF-8 contains no lone surrogate and JSON no raw NUL, so only a \u escape can add one. A JavaScript string may
  // contain a lone surrogate as it is.
  const checkStrings = payloadJson.includes('\\u') || !payloadJson.isWellFormed();
  const attributes = checkAttributes(json['attributes'], checkStrings);
  if (attributes instanceof CodecError) return attributes;
  const attributesAt = members.find(({ key }) => key === 'attributes')?.at ?? 0;
  const attributesJson = encodeExactAttributes(attributes, payloadJson, attributesAt);
  return typeof attributesJson === 'string' ? { ...fields, attributesJson } : attributesJson;
}

const fieldNames: ReadonlySet<string> = new Set([
  'device_id',
  'timestamp',
  'latitude',
  'longitude',
  'altitude',
  'angle',
  'speed',
  'satellites',
  'priority',
  'attributes',
]);

function parseObject(payloadJson: string): Readonly<Record<string, unknown>> | CodecError {
  let json: unknown;
  try {
    json = JSON.parse(payloadJson);
  } catch {
    return new CodecError('not_json', 'payload must be JSON');
  }
  return isJsonObject(json) ? json : new CodecError('wrong_type', 'payload must be an object');
}

/**
 * Encodes a position as the JSON of a payload.
 *
 * @throws RangeError, TypeError as `encodeAttributes`, and RangeError for a `fixAtMs` that is not a valid time.
 */
export function encodePosition(position: Position): string {
  const fields = JSON.stringify({
    device_id: position.deviceId,
    timestamp: new Date(position.fixAtMs).toISOString(),
    latitude: position.latitude,
    longitude: position.longitude,
    altitude: position.altitudeM,
    angle: position.courseDeg,
    speed: position.speedKmh,
    satellites: position.satellites,
    priority: position.priority,
  });
  return `${fields.slice(0, -1)},"attributes":${encodeAttributes(position.attributes)}}`;
}

/** Decodes every field except the attributes, and adds `attributesJson`: a second object costs more than the checks. */
function decodeFixedFields(
  json: Readonly<Record<string, unknown>>,
  attributesJson: string,
): DecodedPosition | CodecError {
  const deviceId = json['device_id'];
  if (typeof deviceId !== 'string') return missingOrWrongType('device_id', 'a string', deviceId);
  if (!deviceIdPattern.test(deviceId)) {
    return new CodecError('bad_device_id', 'device_id must be 1..32 of [0-9A-Za-z_-]');
  }
  const timestamp = json['timestamp'];
  if (typeof timestamp !== 'string') return missingOrWrongType('timestamp', 'a string', timestamp);
  const fixAtMs = parseTimestamp(timestamp);
  if (fixAtMs === undefined)
    return new CodecError('bad_timestamp', 'timestamp must be an RFC 3339 date-time');
  if (fixAtMs < 0 || fixAtMs > latestTimestampMs) {
    return new CodecError('bad_timestamp', 'timestamp must be in the years 1970..9999 UTC');
  }
  const latitude = decodeNumber('latitude', json['latitude'], -maxAbs.latitude, maxAbs.latitude);
  if (typeof latitude !== 'number') return latitude;
  const longitude = decodeNumber('longitude', json['longitude'], -maxAbs.longitude, maxAbs.longitude);
  if (typeof longitude !== 'number') return longitude;
  const altitudeM = decodeNumber('altitude', json['altitude'], -maxAbs.altitude, maxAbs.altitude);
  if (typeof altitudeM !== 'number') return altitudeM;
  const courseDeg = decodeNumber('angle', json['angle'], 0, maxAbs.angle);
  if (typeof courseDeg !== 'number') return courseDeg;
  const speedKmh = decodeNumber('speed', json['speed'], -maxAbs.speed, maxAbs.speed);
  if (typeof speedKmh !== 'number') return speedKmh;
  const satellites = decodeNumber('satellites', json['satellites'], 0, maxAbs.satellites);
  if (typeof satellites !== 'number') return satellites;
  if (!Number.isInteger(satellites)) return new CodecError('out_of_range', 'satellites must be an integer');
  const priority = decodePriority(json['priority']);
  if (typeof priority !== 'number') return priority;
  return {
    deviceId,
    fixAtMs,
    latitude,
    longitude,
    altitudeM: flushToZero(altitudeM),
    courseDeg: flushToZero(courseDeg),
    speedKmh: flushToZero(speedKmh),
    satellites,
    priority,
    attributesJson,
  };
}

function decodeUtf8(payload: Uint8Array | string): string | CodecError {
  if (typeof payload === 'string') {
    return isLongerThan(payload, maxPayloadBytes) ? tooLarge() : payload;
  }
  if (payload.length > maxPayloadBytes) return tooLarge();
  try {
    return utf8.decode(payload);
  } catch {
    return new CodecError('not_utf8', 'payload must be UTF-8');
  }
}

function tooLarge(): CodecError {
  return new CodecError('too_large', `payload must be at most ${maxPayloadBytes} bytes`);
}

function decodeNumber(field: string, value: unknown, from: number, to: number): number | CodecError {
  if (typeof value !== 'number') return missingOrWrongType(field, 'a number', value);
  if (value >= from && value <= to) return value === 0 ? 0 : value;
  // JSON has no NaN, but 1e400 is Infinity.
  if (!Number.isFinite(value)) return new CodecError('not_finite', `${field} must be finite`);
  return new CodecError('out_of_range', `${field} must be within ${from}..${to}`);
}

function decodePriority(value: unknown): Priority | CodecError {
  if (value === 0) return 0;
  if (value === 1 || value === 2) return value;
  const priority = decodeNumber('priority', value, 0, 2);
  return typeof priority === 'number'
    ? new CodecError('out_of_range', 'priority must be 0, 1 or 2')
    : priority;
}

function missingOrWrongType(field: string, type: string, value: unknown): CodecError {
  return value === undefined
    ? new CodecError('missing_field', `${field} is missing`)
    : new CodecError('wrong_type', `${field} must be ${type}`);
}
