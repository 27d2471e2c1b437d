import { CodecError } from './codec-error.ts';
import type { Attributes, AttributeValue } from './position.ts';
import { decodeSentinel, encodeSentinel, type Sentinel } from './sentinel.ts';

export const maxAttributes = 255;

/** A plain JSON object: neither null nor an array. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The JSON text of attributes, for a JSONB column and for the payload alike: bigint and bytes as sentinels.
 *
 * @throws TypeError for a number that is not finite, which JSON would turn into null; RangeError for a bigint of more
 * than 20 digits. `decodePosition` lets neither through.
 */
export function encodeAttributes(attributes: Attributes): string {
  let json: Record<string, AttributeValue | Sentinel> | undefined;
  for (const key of Object.keys(attributes)) {
    const value = attributes[key];
    if (typeof value === 'bigint' || typeof value === 'object') {
      // Replaced here and not by a replacer of JSON.stringify: that one sees a Buffer only after its toJSON has made
      // {"type":"Buffer","data":[…]} of it.
      json ??= { ...attributes };
      json[key] = encodeSentinel(value);
    } else if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new TypeError(`${attributeName(key)} must be finite`);
    }
  }
  return JSON.stringify(json ?? attributes);
}

/**
 * Gives back what `encodeAttributes` wrote, from JSON that is already parsed: a JSONB column as the driver reads it.
 * Where no value needs another form, the result is the very object that came in.
 */
export function decodeAttributes(json: unknown): Attributes | CodecError {
  return readAttributes(json, true);
}

/**
 * @param mayHoldBadText false only where the caller knows that no text in `json` holds a NUL or a lone surrogate:
 * none is looked at then.
 */
export function readAttributes(json: unknown, mayHoldBadText: boolean): Attributes | CodecError {
  if (json === undefined) return new CodecError('missing_field', 'attributes is missing');
  if (!isJsonObject(json)) return new CodecError('wrong_type', 'attributes must be an object');
  const keys = Object.keys(json);
  if (keys.length > maxAttributes) {
    return new CodecError('too_many_attributes', `attributes must have at most ${maxAttributes} keys`);
  }
  // Most records are nothing but numbers and texts: they are checked and passed on as they are, which takes half the
  // time of a copy.
  return isReady(json, keys, mayHoldBadText) ? json : convertAttributes(json, keys, mayHoldBadText);
}

function isReady(
  json: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  mayHoldBadText: boolean,
): json is Attributes {
  for (const key of keys) {
    if (isPrototypeKey(key) || (mayHoldBadText && !isStorableText(key))) return false;
    const value = json[key];
    const isReadyValue =
      typeof value === 'number'
        ? Number.isFinite(value) && !Object.is(value, -0)
        : typeof value === 'boolean' ||
          (typeof value === 'string' && !(mayHoldBadText && !isStorableText(value)));
    if (!isReadyValue) return false;
  }
  return true;
}

function convertAttributes(
  json: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  mayHoldBadText: boolean,
): Attributes | CodecError {
  const attributes: Record<string, AttributeValue> = {};
  for (const key of keys) {
    if (isPrototypeKey(key)) {
      return new CodecError('bad_key', 'attributes must have no key that names a prototype');
    }
    if (mayHoldBadText && !isStorableText(key)) {
      return new CodecError('bad_text', 'a key of attributes must hold no NUL and no lone surrogate');
    }
    const value = convertValue(key, json[key], mayHoldBadText);
    if (value instanceof CodecError) return value;
    attributes[key] = value;
  }
  return attributes;
}

function convertValue(key: string, value: unknown, mayHoldBadText: boolean): AttributeValue | CodecError {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return new CodecError('not_finite', `${attributeName(key)} must be finite`);
    // -0 becomes 0: JSONB has no -0.
    return value === 0 ? 0 : value;
  }
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    return mayHoldBadText && !isStorableText(value)
      ? new CodecError('bad_text', `${attributeName(key)} must hold no NUL and no lone surrogate`)
      : value;
  }
  const read = isJsonObject(value) ? decodeSentinel(value) : 'wrong_type';
  if (typeof read !== 'string') return read;
  return read === 'bad_sentinel'
    ? new CodecError(
        read,
        `${attributeName(key)} must be a bigint of at most 20 digits or base64 in its sentinel`,
      )
    : new CodecError(read, `${attributeName(key)} must be a number, a text, a boolean or a sentinel`);
}

// As a key of a plain object the first would set its prototype, and all three are how such an object is attacked.
function isPrototypeKey(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype';
}

/** What Postgres takes as text and as JSONB. */
function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** Names an attribute in an error if its key is an IO id. Any other key is the sender's text, which no log may repeat. */
function attributeName(key: string): string {
  return /^[0-9]{1,5}$/.test(key) ? `attribute ${key}` : 'an attribute';
}
