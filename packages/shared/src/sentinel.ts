import { decodeBase64, encodeBase64, isBase64 } from './base64.ts';

/** How a bigint and bytes are written in JSON, in the stream's payload and in JSONB alike. */
export type Sentinel = { readonly __bigint: string } | { readonly __buffer_b64: string };

// 20 digits hold the largest unsigned 64-bit IO element, 18446744073709551615.
const bigintText = /^(?:0|-?[1-9][0-9]{0,19})$/;

/** @throws RangeError for a bigint of more than 20 digits: no reader would take it. */
export function encodeSentinel(value: bigint | Uint8Array): Sentinel {
  if (typeof value !== 'bigint') return { __buffer_b64: encodeBase64(value) };
  const text = value.toString();
  if (!bigintText.test(text)) throw new RangeError('a bigint attribute has at most 20 digits');
  return { __bigint: text };
}

/**
 * Is this parsed JSON object a sentinel? One has exactly one key, and a text that is just what `encodeSentinel`
 * writes: no leading zeros, no `-0`, base64 with its padding and without stray bits. So a value has one text, and two
 * records are equal exactly if their JSON is.
 *
 * @returns `bad_sentinel` if only the text is wrong, `wrong_type` for any other object.
 */
export function checkSentinel(
  json: Readonly<Record<string, unknown>>,
): 'sentinel' | 'bad_sentinel' | 'wrong_type' {
  const isBigint = Object.hasOwn(json, '__bigint');
  if (!isBigint && !Object.hasOwn(json, '__buffer_b64')) return 'wrong_type';
  for (const key in json) {
    if (key !== (isBigint ? '__bigint' : '__buffer_b64')) return 'wrong_type';
  }
  const text = isBigint ? json['__bigint'] : json['__buffer_b64'];
  if (typeof text !== 'string') return 'bad_sentinel';
  return (isBigint ? bigintText.test(text) : isBase64(text)) ? 'sentinel' : 'bad_sentinel';
}

/** The value of an object that `checkSentinel` has found to be a sentinel. */
export function decodeSentinel(sentinel: Sentinel): bigint | Uint8Array {
  return '__bigint' in sentinel ? BigInt(sentinel.__bigint) : decodeBase64(sentinel.__buffer_b64);
}
