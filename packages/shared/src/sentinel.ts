import { CodecError } from './codec-error.ts';

/** How a bigint and bytes are written in JSON, in the stream's payload and in JSONB alike. */
export type Sentinel = { readonly __bigint: string } | { readonly __buffer_b64: string };

// 20 digits: the largest unsigned 64-bit IO element, 18446744073709551615.
const canonicalBigint = /^(?:0|-?[1-9][0-9]{0,19})$/;
const bigintTextMax = 21;

const base64Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const padding = 0x3d;
const notBase64 = 0xff;
const sextets = new Uint8Array(128).fill(notBase64);
for (let value = 0; value < 64; value += 1) sextets[base64Alphabet.charCodeAt(value)] = value;

/** @throws RangeError for a bigint of more than 20 digits: no reader would take it. */
export function encodeSentinel(value: bigint | Uint8Array): Sentinel {
  if (typeof value !== 'bigint') return { __buffer_b64: encodeBase64(value) };
  const text = value.toString();
  if (!canonicalBigint.test(text)) throw new RangeError('a bigint attribute has at most 20 digits');
  return { __bigint: text };
}

/**
 * Reads an object as a sentinel: one of exactly one key, `__bigint` or `__buffer_b64`, whose text is just what
 * `encodeSentinel` writes (no leading zeros, base64 with its padding and no stray bits). So one value has one text,
 * and rows compare by content.
 */
export function decodeSentinel(value: object, name: string): bigint | Uint8Array | CodecError {
  let keyCount = 0;
  for (const key in value) if (Object.hasOwn(value, key)) keyCount += 1;
  if (keyCount === 1) {
    if ('__bigint' in value) {
      const text = value.__bigint;
      return typeof text === 'string' && text.length <= bigintTextMax && canonicalBigint.test(text)
        ? BigInt(text)
        : new CodecError(
            'bad_sentinel',
            `${name}: __bigint must be a whole number of at most 20 digits, as text`,
          );
    }
    if ('__buffer_b64' in value) {
      const bytes = typeof value.__buffer_b64 === 'string' ? decodeBase64(value.__buffer_b64) : undefined;
      return bytes ?? new CodecError('bad_sentinel', `${name}: __buffer_b64 must be base64 with padding`);
    }
  }
  return new CodecError('wrong_type', `${name} must be a number, a text, a boolean or one sentinel`);
}

// Own base64: Buffer is Node's alone, and btoa/atob go through a text of one character per byte, take whitespace and
// missing padding, and throw.
function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += base64Alphabet.charAt(group >> 18) + base64Alphabet.charAt((group >> 12) & 63);
    text += left > 1 ? base64Alphabet.charAt((group >> 6) & 63) : '=';
    text += left > 2 ? base64Alphabet.charAt(group & 63) : '=';
  }
  return text;
}

function decodeBase64(text: string): Uint8Array | undefined {
  const length = text.length;
  if (length % 4 !== 0) return undefined;
  let padded = 0;
  if (length > 0 && text.charCodeAt(length - 1) === padding) {
    padded = text.charCodeAt(length - 2) === padding ? 2 : 1;
  }
  const bytes = new Uint8Array((length / 4) * 3 - padded);
  let written = 0;
  let bits = 0;
  let bitCount = 0;
  for (let at = 0; at < length - padded; at += 1) {
    const sextet = sextets[text.charCodeAt(at)] ?? notBase64;
    if (sextet === notBase64) return undefined;
    bits = ((bits << 6) | sextet) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[written] = bits >> bitCount;
      written += 1;
    }
  }
  // Bits that belong to no byte must be 0, or two texts would stand for the same bytes.
  return (bits & ((1 << bitCount) - 1)) === 0 ? bytes : undefined;
}
