/**
 * Most significant digits of a number: enough for any integer or decimal of 128 bits. With the range of a double it bounds
 * the digits before and after the point; Postgres refuses more than 131,072 and 16,383.
 */
export const maxSignificantDigits = 40;

const parts = /^-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/**
 * The significant digits and the exponent of a JSON number whose double has another decimal value, so that equal numbers
 * are equal strings; undefined for a number that JSON.parse and JSON.stringify keep.
 *
 * @returns `too_precise` for more than `maxSignificantDigits`, `too_small` for a number whose double is 0. The caller has
 * rejected numbers whose double is infinite.
 */
export function exactNumber(
  source: string,
): string | undefined | { readonly problem: 'too_precise' | 'too_small' } {
  // A double keeps 15 digits.
  if (source.length <= 15 && !source.includes('e') && !source.includes('E')) return undefined;
  const { digits, exponent } = decimalOf(source);
  if (digits === '') return undefined;
  const double = Number(source);
  if (double === 0) return { problem: 'too_small' };
  if (digits.length > maxSignificantDigits) return { problem: 'too_precise' };
  const ofDouble = decimalOf(JSON.stringify(double));
  if (ofDouble.digits === digits && ofDouble.exponent === exponent) return undefined;
  return `${double < 0 ? '-' : ''}${digits}${exponent === 0 ? '' : `e${exponent}`}`;
}

/** The absolute value as `digits` × 10^`exponent`, with neither leading nor trailing zeros. */
function decimalOf(source: string): { readonly digits: string; readonly exponent: number } {
  const [, integer = '', fraction = '', exponent = '0'] = parts.exec(source) ?? [];
  const all = integer + fraction;
  let from = 0;
  while (all.charCodeAt(from) === zero) from += 1;
  let to = all.length;
  while (to > from && all.charCodeAt(to - 1) === zero) to -= 1;
  return { digits: all.slice(from, to), exponent: Number(exponent) - fraction.length + (all.length - to) };
}

const zero = 0x30;
