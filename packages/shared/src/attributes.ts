import { CodecError } from './codec-error.ts';
import type { Attributes, AttributeValue } from './position.ts';
import { checkSentinel, decodeSentinel, encodeSentinel, type Sentinel } from './sentinel.ts';

export const maxAttributes = 255;

/** Attributes as they stand in JSON, in the payload and in JSONB alike: bigint and bytes as sentinels. */
export type JsonAttributes = Readonly<Record<string, number | string | boolean | Sentinel>>;

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
  const checked = checkAttributes(json, true);
  return checked instanceof CodecError ? checked : fromJson(checked);
}

/**
 * Checks parsed attributes and leaves them in their JSON form, which is what goes into the database: converting
 * sentinels there and back would take longer than all the rest of decoding.
 *
 * @param mayHoldBadText false only where the caller knows that no text in `json` holds a NUL or a lone surrogate:
 * none is looked at then.
 */
export function checkAttributes(json: unknown, mayHoldBadText: boolean): JsonAttributes | CodecError {
  if (json === undefined) return new CodecError('missing_field', 'attributes is missing');
  if (!isJsonObject(json)) return new CodecError('wrong_type', 'attributes must be an object');
  return isStorable(json, mayHoldBadText) ? json : attributesProblem(json);
}

/** The values of attributes that `checkAttributes` let through. */
export function fromJson(json: JsonAttributes): Attributes {
  if (hasValuesOnly(json)) return json;
  const attributes: Record<string, AttributeValue> = {};
  for (const [key, value] of Object.entries(json)) {
    // -0 becomes 0: JSONB has no -0.
    attributes[key] = typeof value === 'object' ? decodeSentinel(value) : value === 0 ? 0 : value;
  }
  return attributes;
}

function hasValuesOnly(json: JsonAttributes): json is Readonly<Record<string, number | string | boolean>> {
  return Object.values(json).every((value) => typeof value !== 'object' && !Object.is(value, -0));
}

// Values only: making a text of every key takes longer than looking at the values.
function isStorable(
  json: Readonly<Record<string, unknown>>,
  mayHoldBadText: boolean,
): json is JsonAttributes {
  const values = Object.values(json);
  if (values.length > maxAttributes || namesPrototype(json)) return false;
  if (mayHoldBadText && !Object.keys(json).every(isStorableText)) return false;
  return values.every((value) => isStorableValue(value, mayHoldBadText));
}

function isStorableValue(value: unknown, mayHoldBadText: boolean): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value === 'string') return !mayHoldBadText || isStorableText(value);
  return typeof value === 'boolean' || (isJsonObject(value) && checkSentinel(value) === 'sentinel');
}

/** Why attributes cannot be stored, for those that `isStorable` refused. */
function attributesProblem(json: Readonly<Record<string, unknown>>): CodecError {
  const keys = Object.keys(json);
  if (keys.length > maxAttributes) {
    return new CodecError('too_many_attributes', `attributes must have at most ${maxAttributes} keys`);
  }
  if (namesPrototype(json)) {
    return new CodecError('bad_key', 'attributes must have no key that names a prototype');
  }
  if (!keys.every(isStorableText)) {
    return new CodecError('bad_text', 'a key of attributes must hold no NUL and no lone surrogate');
  }
  const bad = keys.find((key) => !isStorableValue(json[key], true)) ?? '';
  return valueProblem(attributeName(bad), json[bad]);
}

/** Why a value cannot be stored, for one that `isStorableValue` refused. */
function valueProblem(name: string, value: unknown): CodecError {
  if (typeof value === 'number') return new CodecError('not_finite', `${name} must be finite`);
  if (typeof value === 'string') {
    return new CodecError('bad_text', `${name} must hold no NUL and no lone surrogate`);
  }
  return isJsonObject(value) && checkSentinel(value) === 'bad_sentinel'
    ? new CodecError(
        'bad_sentinel',
        `${name} must be a bigint of at most 20 digits or base64 in its sentinel`,
      )
    : new CodecError('wrong_type', `${name} must be a number, a text, a boolean or a sentinel`);
}

// As a key of a plain object the first would set its prototype, and all three are how such an object is attacked.
const prototypeKeys: readonly string[] = ['__proto__', 'constructor', 'prototype'];

function namesPrototype(json: object): boolean {
  return prototypeKeys.some((key) => Object.hasOwn(json, key));
}

/** What Postgres takes as text and as JSONB. */
function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** Names an attribute in an error if its key is an IO id. Any other key is the sender's text, which no log may repeat. */
function attributeName(key: string): string {
  return /^[0-9]{1,5}$/.test(key) ? `attribute ${key}` : 'an attribute';
}
