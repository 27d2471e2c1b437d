import { maxAttributes } from './attributes.ts';

// What JSON.stringify writes of an IO element, character for character, and neither -0 nor an escape. A number of at
// most 15 digits is the shortest text of its double, so reading and writing it would give the same text again.
const number = '-?[1-9][0-9]{0,14}|0|-?(?:[1-9][0-9]{0,8}|0)\\.[0-9]{0,5}[1-9]';
const text = '"[ !#-\\[\\]-~]*"';
const bigint = '\\{"__bigint":"(?:0|-?[1-9][0-9]{0,19})"\\}';
const base64 = '(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?';
const bytes = `\\{"__buffer_b64":"${base64}"\\}`;
const element = `"[0-9]{1,5}":(?:${number}|${text}|true|false|${bigint}|${bytes})`;
// Any two alternatives differ in what they begin with or in where they end, so a failed match has tried few ways for
// each character: linear time.
const attributesAtEnd = new RegExp(`\\{(?:${element}(?:,${element}){0,${maxAttributes - 1}})?\\}\\}$`, 'y');

const member = '"attributes":';

/**
 * Where the attributes of a payload begin, if they are its last member and just what `encodeAttributes` writes of
 * IO elements: valid, storable and in the one form that their values have. Most are. One regular expression sees that
 * in a fifth of the time that parsing, checking and writing them takes. For all others undefined: look closer.
 */
export function findPlainAttributes(payload: string): number | undefined {
  const at = payload.indexOf(member) + member.length;
  // Without a backslash what was found is the whole name of a member and neither part of one nor of a text. It belongs
  // to the payload itself, not to an object within: behind the attributes only one brace closes.
  if (at < member.length || !arePlainAttributes(payload, at) || payload.includes('\\')) return undefined;
  return at;
}

/** Whether what begins there is such attributes, and one brace ends the payload behind them. */
export function arePlainAttributes(payload: string, at: number): boolean {
  attributesAtEnd.lastIndex = at;
  return attributesAtEnd.test(payload);
}
