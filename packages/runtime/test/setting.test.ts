import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  byteCount,
  commaList,
  durationMs,
  name,
  oneOf,
  port,
  positiveInt,
  settingMeta,
  string,
  urlOf,
} from '../src/setting.ts';

function parse(setting: z.ZodType, value: string): unknown {
  const parsed = setting.safeParse(value);
  return parsed.success ? parsed.data : 'rejected';
}

describe('a setting accepts and rejects', () => {
  test.each<[string, z.ZodType, Record<string, unknown>]>([
    [
      'positiveInt',
      positiveInt(),
      {
        '1': 1,
        '9007199254740991': 9_007_199_254_740_991,
        '9007199254740992': 'rejected',
        '99999999999999999999': 'rejected',
        '0': 'rejected',
        '-1': 'rejected',
        '+1': 'rejected',
        '007': 'rejected',
        '1e0': 'rejected',
        '0x1': 'rejected',
        '1.0': 'rejected',
      },
    ],
    ['durationMs', durationMs(), { '0': 0, '2147483647': 2_147_483_647, '2147483648': 'rejected' }],
    ['byteCount', byteCount({ max: 10 }), { '10': 10, '11': 'rejected', '0': 'rejected' }],
    ['port', port(), { '0': 0, '65535': 65_535, '65536': 'rejected' }],
    ['string', string({ maxLength: 3 }), { abc: 'abc', abcd: 'rejected', 'a\nb': 'rejected', 'a b': 'a b' }],
    ['name', name(), { 'processor-1.a:{01}': 'processor-1.a:{01}', 'a b': 'rejected', ä: 'rejected' }],
    ['oneOf', oneOf(['a', 'b']), { a: 'a', c: 'rejected' }],
    [
      'urlOf',
      urlOf('https:', 'http:'),
      { 'https://a/b': 'https://a/b', 'ftp://a': 'rejected', 'https:': 'rejected', a: 'rejected' },
    ],
    ['commaList', commaList(name()), { a: ['a'], 'a, b': ['a', 'b'], 'a,a': 'rejected', 'a,': 'rejected' }],
  ])('%s', (_piece, setting, cases) => {
    const outcomes = Object.keys(cases).map((value) => [value, parse(setting, value)]);
    expect(Object.fromEntries(outcomes)).toEqual(cases);
    expect(settingMeta(setting).expected).toBeTypeOf('string');
  });
});

test('metadata includes unit and bounds, through defaults and refinements', () => {
  const setting = durationMs({ min: 5, max: 10 })
    .default(7)
    .refine(() => true)
    .meta({ description: 'A duration.' });
  expect(settingMeta(setting)).toMatchObject({
    description: 'A duration.',
    unit: 'milliseconds',
    expected: 'a whole number of milliseconds, from 5 to 10',
  });
});
