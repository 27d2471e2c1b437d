import {
  checkAttributes,
  encodeAttributes,
  fromJson,
  isJsonObject,
  type JsonAttributes,
} from './attributes.ts';
import { deviceIdPattern, flushToZero, maxAbs } from './bounds.ts';
import { CodecError } from './codec-error.ts';
import { findCanonicalAttributes } from './canonical-attributes.ts';
import type { Position, Priority, ReceivedPosition } from './position.ts';
import { latestTimestampMs, parseTimestamp } from './timestamp.ts';
import { isLongerThan } from './utf8.ts';

export { decodeAttributes, encodeAttributes, type JsonAttributes, maxAttributes } from './attributes.ts';
export { CodecError, type CodecReason } from './codec-error.ts';

/** The longest payload that is looked at, in bytes of UTF-8. */
export const maxPayloadBytes = 65_536;

// A byte order mark is kept by the decoder and then refused by JSON.parse: RFC 8259 forbids writers to send one.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads the `payload` of a stream record: bytes as Redis holds them, or text.
 *
 * Never throws, at any depth and size, in time linear in the size: a refusal comes back as a `CodecError`. Fields
 * that are not known are ignored. What is let through, the `positions` table takes.
 */
export function decodePosition(payload: Uint8Array | string): Position | CodecError {
  const text = readText(payload);
  if (typeof text !== 'string') return text;
  const json = parseObject(text);
  if (json instanceof CodecError) return json;
  const fields = readFields(json, '');
  if (fields instanceof CodecError) return fields;
  const attributes = readAttributes(json, text);
  if (attributes instanceof CodecError) return attributes;
  // Field by field: a rest and a spread take longer than the checks do.
  return {
    deviceId: fields.deviceId,
    fixAtMs: fields.fixAtMs,
    latitude: fields.latitude,
    longitude: fields.longitude,
    altitudeM: fields.altitudeM,
    courseDeg: fields.courseDeg,
    speedKmh: fields.speedKmh,
    satellites: fields.satellites,
    priority: fields.priority,
    attributes: fromJson(attributes),
  };
}

/**
 * As `decodePosition`, for who stores a position: nobody there needs its attributes as values. Attributes in the form
 * that `encodePosition` gives them are passed through unparsed, others are re-encoded.
 */
export function receivePosition(payload: Uint8Array | string): ReceivedPosition | CodecError {
  const text = readText(payload);
  if (typeof text !== 'string') return text;
  const canonicalAt = findCanonicalAttributes(text);
  const json = parseObject(canonicalAt === undefined ? text : `${text.slice(0, canonicalAt)}null}`);
  if (json instanceof CodecError) return json;
  if (canonicalAt !== undefined) return readFields(json, text.slice(canonicalAt, -1));
  const fields = readFields(json, '');
  if (fields instanceof CodecError) return fields;
  const attributes = readAttributes(json, text);
  return attributes instanceof CodecError
    ? attributes
    : { ...fields, attributesJson: JSON.stringify(attributes) };
}

function parseObject(text: string): Readonly<Record<string, unknown>> | CodecError {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return new CodecError('not_json', 'payload must be JSON');
  }
  return isJsonObject(json) ? json : new CodecError('wrong_type', 'payload must be an object');
}

function readAttributes(json: Readonly<Record<string, unknown>>, text: string): JsonAttributes | CodecError {
  // Valid UTF-8 holds no lone surrogate and JSON no raw NUL, so in bytes only a \u escape can bring either; a text may
  // hold a lone surrogate as it is.
  return checkAttributes(json['attributes'], text.includes('\\u') || !text.isWellFormed());
}

/**
 * The payload's JSON for a Position.
 *
 * @throws RangeError, TypeError as `encodeAttributes`, and RangeError for a `fixAtMs` that is no time.
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

/** All but the attributes, whose text is put beside them: a second object for each position costs more than the checks. */
function readFields(
  json: Readonly<Record<string, unknown>>,
  attributesJson: string,
): ReceivedPosition | CodecError {
  const deviceId = json['device_id'];
  if (typeof deviceId !== 'string') return notA('device_id', 'a text', deviceId);
  if (!deviceIdPattern.test(deviceId)) {
    return new CodecError('bad_device_id', 'device_id must be 1..32 of [0-9A-Za-z_-]');
  }
  const timestamp = json['timestamp'];
  if (typeof timestamp !== 'string') return notA('timestamp', 'a text', timestamp);
  const fixAtMs = parseTimestamp(timestamp);
  if (fixAtMs === undefined)
    return new CodecError('bad_timestamp', 'timestamp must be an RFC 3339 date-time');
  if (fixAtMs < 0 || fixAtMs > latestTimestampMs) {
    return new CodecError('bad_timestamp', 'timestamp must lie in the years 1970..9999 of UTC');
  }
  const latitude = readNumber('latitude', json['latitude'], -maxAbs.latitude, maxAbs.latitude);
  if (typeof latitude !== 'number') return latitude;
  const longitude = readNumber('longitude', json['longitude'], -maxAbs.longitude, maxAbs.longitude);
  if (typeof longitude !== 'number') return longitude;
  const altitudeM = readNumber('altitude', json['altitude'], -maxAbs.altitude, maxAbs.altitude);
  if (typeof altitudeM !== 'number') return altitudeM;
  const courseDeg = readNumber('angle', json['angle'], 0, maxAbs.angle);
  if (typeof courseDeg !== 'number') return courseDeg;
  const speedKmh = readNumber('speed', json['speed'], -maxAbs.speed, maxAbs.speed);
  if (typeof speedKmh !== 'number') return speedKmh;
  const satellites = readNumber('satellites', json['satellites'], 0, maxAbs.satellites);
  if (typeof satellites !== 'number') return satellites;
  if (!Number.isInteger(satellites))
    return new CodecError('out_of_range', 'satellites must be a whole number');
  const priority = readPriority(json['priority']);
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

function readText(payload: Uint8Array | string): string | CodecError {
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

function readNumber(field: string, value: unknown, from: number, to: number): number | CodecError {
  if (typeof value !== 'number') return notA(field, 'a number', value);
  if (value >= from && value <= to) return value === 0 ? 0 : value;
  // JSON has no NaN, but 1e400 is Infinity.
  if (!Number.isFinite(value)) return new CodecError('not_finite', `${field} must be finite`);
  return new CodecError('out_of_range', `${field} must be within ${from}..${to}`);
}

function readPriority(value: unknown): Priority | CodecError {
  if (value === 0) return 0;
  if (value === 1 || value === 2) return value;
  const priority = readNumber('priority', value, 0, 2);
  return typeof priority === 'number'
    ? new CodecError('out_of_range', 'priority must be 0, 1 or 2')
    : priority;
}

function notA(field: string, type: string, value: unknown): CodecError {
  return value === undefined
    ? new CodecError('missing_field', `${field} is missing`)
    : new CodecError('wrong_type', `${field} must be ${type}`);
}
