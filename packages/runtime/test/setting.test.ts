import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  byteCount,
  commaList,
  durationMs,
  flag,
  hostPort,
  name,
  oneOf,
  port,
  positiveInt,
  settingMeta,
  string,
  urlOf,
  wholeNumber,
} from '../src/setting.ts';

function takes(setting: z.ZodType, value: string): unknown {
  const parsed = setting.safeParse(value);
  return parsed.success ? parsed.data : 'refused';
}

describe('a setting takes and refuses', () => {
  test.each<[string, z.ZodType, Record<string, unknown>]>([
    [
      'wholeNumber',
      wholeNumber({ min: -5, max: 5 }),
      {
        '5': 5,
        '-5': -5,
        '6': 'refused',
        '-6': 'refused',
        '007': 'refused',
        '1e0': 'refused',
        '0x1': 'refused',
        '1.0': 'refused',
        '+1': 'refused',
        '99999999999999999999': 'refused',
      },
    ],
    [
      'positiveInt',
      positiveInt(),
      { '1': 1, '0': 'refused', '9007199254740991': 9_007_199_254_740_991, '9007199254740992': 'refused' },
    ],
    ['durationMs', durationMs(), { '0': 0, '2147483647': 2_147_483_647, '2147483648': 'refused' }],
    ['byteCount', byteCount({ max: 10 }), { '10': 10, '11': 'refused', '0': 'refused' }],
    ['port', port(), { '0': 0, '65535': 65_535, '65536': 'refused' }],
    ['text', string({ maxLength: 3 }), { abc: 'abc', abcd: 'refused', 'a\nb': 'refused', 'a b': 'a b' }],
    ['name', name(), { 'processor-1.a:{01}': 'processor-1.a:{01}', 'a b': 'refused', ä: 'refused' }],
    [
      'flag',
      flag(),
      {
        on: true,
        TRUE: true,
        '1': true,
        yes: true,
        off: false,
        false: false,
        '0': false,
        no: false,
        maybe: 'refused',
      },
    ],
    ['oneOf', oneOf(['a', 'b']), { a: 'a', c: 'refused' }],
    [
      'urlOf',
      urlOf('https:', 'http:'),
      { 'https://a/b': 'https://a/b', 'ftp://a': 'refused', 'https:': 'refused', a: 'refused' },
    ],
    [
      'hostPort',
      hostPort(),
      {
        'redis:6379': { host: 'redis', port: 6379 },
        '[::1]:80': { host: '::1', port: 80 },
        'redis:0': 'refused',
        'redis:65536': 'refused',
        redis: 'refused',
        ':80': 'refused',
        '::1:80': 'refused',
      },
    ],
    ['commaList', commaList(name()), { a: ['a'], 'a, b': ['a', 'b'], 'a,a': 'refused', 'a,': 'refused' }],
  ])('%s', (_piece, setting, cases) => {
    const outcomes = Object.keys(cases).map((value) => [value, takes(setting, value)]);
    expect(Object.fromEntries(outcomes)).toEqual(cases);
    expect(settingMeta(setting).expected).toBeTypeOf('string');
  });
});

test('a unit and bounds are told with a setting, through defaults and refinements', () => {
  const setting = durationMs({ min: 5, max: 10 })
    .default(7)
    .refine(() => true)
    .meta({ description: 'How long.' });
  expect(settingMeta(setting)).toMatchObject({
    description: 'How long.',
    unit: 'milliseconds',
    expected: 'a whole number of milliseconds, from 5 to 10',
  });
});
