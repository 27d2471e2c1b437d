import { decodeBase64, encodeBase64 } from './base64.ts';

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
 * Reads a parsed JSON object as a sentinel. One has exactly one key, and a text that is just what `encodeSentinel`
 * writes: no leading zeros, no `-0`, base64 with its padding and without stray bits. So a value has one text, and two
 * records are equal exactly if their JSON is.
 *
 * @returns `bad_sentinel` if only the text is wrong, `wrong_type` for any other object.
 */
export function decodeSentinel(
  json: Readonly<Record<string, unknown>>,
): bigint | Uint8Array | 'bad_sentinel' | 'wrong_type' {
  const keys = Object.keys(json);
  const kind = keys.length === 1 ? keys[0] : undefined;
  if (kind !== '__bigint' && kind !== '__buffer_b64') return 'wrong_type';
  const text = json[kind];
  if (typeof text !== 'string') return 'bad_sentinel';
  if (kind === '__bigint') return bigintText.test(text) ? BigInt(text) : 'bad_sentinel';
  return decodeBase64(text) ?? 'bad_sentinel';
}
