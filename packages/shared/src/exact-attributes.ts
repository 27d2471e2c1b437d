import { attributeName, type JsonAttributes } from './attributes.ts';
import { CodecError } from './codec-error.ts';
import { exactNumber, maxSignificantDigits } from './exact-number.ts';
import { findRepeatedKey, readMembers } from './json-members.ts';

/**
 * Encodes the attributes that `checkAttributes` accepted, with every digit of their numbers, which JSON.parse has rounded
 * to doubles; JSONB stores them as decimals.
 *
 * @param at where the attributes begin in the payload.
 */
export function encodeExactAttributes(
  attributes: JsonAttributes,
  payloadJson: string,
  at: number,
): string | CodecError {
  const members = readMembers(payloadJson, at);
  const repeatedKey = findRepeatedKey(members);
  if (repeatedKey !== undefined) {
    return new CodecError('duplicate_key', `${attributeName(repeatedKey)} must be present once`);
  }
  const exactNumbers = new Map<string, string>();
  for (const { key, at: valueAt, end } of members) {
    const value = attributes[key];
    if (typeof value === 'number') {
      const number = exactNumber(payloadJson.slice(valueAt, end));
      if (typeof number === 'object') return describeNumberProblem(key, number.problem);
      if (number !== undefined) exactNumbers.set(key, number);
    } else if (typeof value === 'object' && readMembers(payloadJson, valueAt).length > 1) {
      return new CodecError('duplicate_key', `${attributeName(key)} must be a sentinel with one key`);
    }
  }
  if (exactNumbers.size === 0) return JSON.stringify(attributes);
  const exact = Object.entries(attributes).map(
    ([key, value]) => `${JSON.stringify(key)}:${exactNumbers.get(key) ?? JSON.stringify(value)}`,
  );
  return `{${exact.join(',')}}`;
}

function describeNumberProblem(key: string, problem: 'too_precise' | 'too_small'): CodecError {
  const rule =
    problem === 'too_small'
      ? 'must be 0 or at least 5e-324'
      : `must have at most ${maxSignificantDigits} significant digits`;
  return new CodecError('out_of_range', `${attributeName(key)} ${rule}`);
}
