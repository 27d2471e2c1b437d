import { decodeBase64, encodeBase64, isBase64 } from './base64.ts';

/** The JSON form of a bigint or bytes, in the stream's payload and in JSONB alike. */
export type Sentinel = { readonly __bigint: string } | { readonly __buffer_b64: string };

// 20 digits are enough for the largest unsigned 64-bit IO element, 18446744073709551615.
const bigintPattern = /^(?:0|-?[1-9][0-9]{0,19})$/;

/** @throws RangeError for a bigint of more than 20 digits, which `checkSentinel` rejects. */
export function encodeSentinel(value: bigint | Uint8Array): Sentinel {
  if (typeof value !== 'bigint') return { __buffer_b64: encodeBase64(value) };
  const digits = value.toString();
  if (!bigintPattern.test(digits)) throw new RangeError('a bigint attribute must have at most 20 digits');
  return { __bigint: digits };
}

/**
 * Checks whether a parsed JSON object is a sentinel: exactly one key, and exactly the string that `encodeSentinel`
 * writes (no leading zeros, no `-0`, base64 with padding and without stray bits). So each value has one encoding, and
 * two records are equal exactly if their JSON is.
 *
 * @returns `bad_sentinel` if only the string is invalid, `wrong_type` for any other object.
 */
export function checkSentinel(
  json: Readonly<Record<string, unknown>>,
): 'sentinel' | 'bad_sentinel' | 'wrong_type' {
  const isBigint = Object.hasOwn(json, '__bigint');
  if (!isBigint && !Object.hasOwn(json, '__buffer_b64')) return 'wrong_type';
  for (const key in json) {
    if (key !== (isBigint ? '__bigint' : '__buffer_b64')) return 'wrong_type';
  }
  const value = isBigint ? json['__bigint'] : json['__buffer_b64'];
  if (typeof value !== 'string') return 'bad_sentinel';
  return (isBigint ? bigintPattern.test(value) : isBase64(value)) ? 'sentinel' : 'bad_sentinel';
}

/** Decodes an object for which `checkSentinel` returned `sentinel`. */
export function decodeSentinel(sentinel: Sentinel): bigint | Uint8Array {
  return '__bigint' in sentinel ? BigInt(sentinel.__bigint) : decodeBase64(sentinel.__buffer_b64);
}
