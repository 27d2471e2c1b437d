import { CodecError } from './codec-error.ts';
import type { Attributes, AttributeValue } from './position.ts';
import { checkSentinel, decodeSentinel, encodeSentinel, type Sentinel } from './sentinel.ts';

export const maxAttributes = 255;

/** Attributes in their JSON form, in the payload and in JSONB alike: bigint and bytes as sentinels. */
export type JsonAttributes = Readonly<Record<string, number | string | boolean | Sentinel>>;

/** Whether `value` is a JSON object: neither null nor an array. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Encodes attributes as JSON, for a JSONB column and for the payload alike.
 *
 * @throws TypeError for a number that is not finite, which JSON would turn into null; RangeError for a bigint of more
 * than 20 digits. `decodePosition` accepts neither.
 */
export function encodeAttributes(attributes: Attributes): string {
  let json: Record<string, AttributeValue | Sentinel> | undefined;
  for (const key of Object.keys(attributes)) {
    const value = attributes[key];
    if (typeof value === 'bigint' || typeof value === 'object') {
      // Not by a replacer of JSON.stringify, which sees a Buffer only after its toJSON has run.
      json ??= { ...attributes };
      json[key] = encodeSentinel(value);
    } else if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new TypeError(`${attributeName(key)} must be finite`);
    }
  }
  return JSON.stringify(json ?? attributes);
}

/** Decodes parsed JSON that `encodeAttributes` wrote, such as a JSONB column as the driver returns it. */
export function decodeAttributes(json: unknown): Attributes | CodecError {
  const checked = checkAttributes(json, true);
  if (checked instanceof CodecError) return checked;
  const attributes: Record<string, AttributeValue> = {};
  for (const [key, value] of Object.entries(checked)) {
    // -0 becomes 0: JSONB has no -0.
    attributes[key] = typeof value === 'object' ? decodeSentinel(value) : value === 0 ? 0 : value;
  }
  return attributes;
}

/**
 * Checks parsed attributes and leaves them in their JSON form, which is what the database stores: decoding and encoding
 * sentinels would take longer than the rest of decoding.
 *
 * @param checkStrings false only if the caller knows that no string in `json` contains a NUL or a lone surrogate.
 */
export function checkAttributes(json: unknown, checkStrings: boolean): JsonAttributes | CodecError {
  if (json === undefined) return new CodecError('missing_field', 'attributes is missing');
  if (!isJsonObject(json)) return new CodecError('wrong_type', 'attributes must be an object');
  return areStorable(json, checkStrings) ? json : describeProblem(json);
}

// Object.values, because creating a string for every key takes longer than checking the values.
function areStorable(json: Readonly<Record<string, unknown>>, checkStrings: boolean): json is JsonAttributes {
  const values = Object.values(json);
  if (values.length > maxAttributes || hasPrototypeKey(json)) return false;
  if (checkStrings && !Object.keys(json).every(isStorableString)) return false;
  return values.every((value) => isStorableValue(value, checkStrings));
}

function isStorableValue(value: unknown, checkStrings: boolean): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value === 'string') return !checkStrings || isStorableString(value);
  return typeof value === 'boolean' || (isJsonObject(value) && checkSentinel(value) === 'sentinel');
}

/** Why `areStorable` is false. */
function describeProblem(json: Readonly<Record<string, unknown>>): CodecError {
  const keys = Object.keys(json);
  if (keys.length > maxAttributes) {
    return new CodecError('too_many_attributes', `attributes must have at most ${maxAttributes} keys`);
  }
  if (hasPrototypeKey(json)) {
    return new CodecError('bad_key', 'attributes must not have a key that names a prototype');
  }
  if (!keys.every(isStorableString)) {
    return new CodecError('bad_text', 'a key of attributes must not contain a NUL or a lone surrogate');
  }
  const badKey = keys.find((key) => !isStorableValue(json[key], true)) ?? '';
  return describeValueProblem(attributeName(badKey), json[badKey]);
}

/** Why `isStorableValue` is false. */
function describeValueProblem(name: string, value: unknown): CodecError {
  if (typeof value === 'number') return new CodecError('not_finite', `${name} must be finite`);
  if (typeof value === 'string') {
    return new CodecError('bad_text', `${name} must not contain a NUL or a lone surrogate`);
  }
  return isJsonObject(value) && checkSentinel(value) === 'bad_sentinel'
    ? new CodecError(
        'bad_sentinel',
        `${name} must be a valid sentinel: a bigint of at most 20 digits, or base64`,
      )
    : new CodecError('wrong_type', `${name} must be a number, a string, a boolean or a sentinel`);
}

// Keys used in prototype pollution attacks.
const prototypeKeys: readonly string[] = ['__proto__', 'constructor', 'prototype'];

function hasPrototypeKey(json: object): boolean {
  return prototypeKeys.some((key) => Object.hasOwn(json, key));
}

/** Whether Postgres accepts the string as text and in JSONB. */
function isStorableString(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0');
}

/** An attribute's name in an error. A key that is not an IO id may contain anything, so it is not logged. */
export function attributeName(key: string): string {
  return /^[0-9]{1,5}$/.test(key) ? `attribute ${key}` : 'an attribute';
}
