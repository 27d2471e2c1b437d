import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { latestTimestampMs, parseTimestamp } from '../src/timestamp.ts';

const accepted: readonly (readonly [value: string, sameAs: string])[] = [
  ['2026-11-24T03:51:14.216Z', '2026-11-24T03:51:14.216Z'],
  ['2026-11-24T03:51:14Z', '2026-11-24T03:51:14.000Z'],
  ['2026-11-24t03:51:14z', '2026-11-24T03:51:14.000Z'],
  ['2026-11-24T03:51:14.2Z', '2026-11-24T03:51:14.200Z'],
  ['2026-11-24T03:51:14.21Z', '2026-11-24T03:51:14.210Z'],
  ['2026-11-24T03:51:14.2169999999999999999Z', '2026-11-24T03:51:14.216Z'],
  ['2026-11-24T03:51:14.0009Z', '2026-11-24T03:51:14.000Z'],
  ['2026-11-24T05:21:14+01:30', '2026-11-24T03:51:14.000Z'],
  ['2026-11-23T23:51:14.5-04:00', '2026-11-24T03:51:14.500Z'],
  ['2026-11-24T03:51:14-00:00', '2026-11-24T03:51:14.000Z'],
  ['2026-11-25T03:50:14+23:59', '2026-11-24T03:51:14.000Z'],
  ['2026-01-01T00:00:00+00:01', '2025-12-31T23:59:00.000Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ['2000-02-29T00:00:00Z', '2000-02-29T00:00:00.000Z'],
  ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
];

test.each(accepted)('%s is the time %s', (value, sameAs) => {
  expect(parseTimestamp(value)).toBe(Date.parse(sameAs));
});

const rejected: readonly string[] = [
  '',
  '1',
  '2026',
  '2026-11-24',
  '2026-11-24T03:51Z',
  '2026-11-24T03:51:14',
  '2026-11-24 03:51:14Z',
  '2026-11-24_03:51:14Z',
  ' 2026-11-24T03:51:14Z',
  '2026-11-24T03:51:14Z ',
  '2026-11-24T03:51:14Z\n',
  '2026-11-24T03:51:14.Z',
  '2026-11-24T03:51:14,5Z',
  '2026-11-24T03:51:14.5',
  '2026-11-24T03:51:14.5 Z',
  '2026-11-24T03:51:14ZZ',
  '2026-11-24T03:51:14Z+00:00',
  '2026-11-24T03:51:14+0000',
  '2026-11-24T03:51:14+00',
  '2026-11-24T03:51:14+00:0',
  '2026-11-24T03:51:14+00:000',
  '2026-11-24T03:51:14+24:00',
  '2026-11-24T03:51:14+00:60',
  '2026-11-24T03:51:14\u221200:00',
  '2026-11-24T24:00:00Z',
  '2026-11-24T23:60:00Z',
  '2026-11-24T23:59:61Z',
  '2026-11-24T23:59:60Z',
  '2026-11-30T22:59:60Z',
  '2016-12-31T23:59:60Z',
  '2016-12-31T23:59:60.5Z',
  '2017-01-01T00:59:60+01:00',
  '2026-00-24T03:51:14Z',
  '2026-13-24T03:51:14Z',
  '2026-11-00T03:51:14Z',
  '2026-11-31T03:51:14Z',
  '2026-02-29T03:51:14Z',
  '2026-02-30T03:51:14Z',
  '2100-02-29T03:51:14Z',
  '2026-1-24T03:51:14Z',
  '2026-11-4T03:51:14Z',
  '2026-11-24T3:51:14Z',
  '2026/11/24T03:51:14Z',
  '2026-11-24T03.51.14Z',
  '+002026-11-24T03:51:14Z',
  '-2026-11-24T03:51:14Z',
  '20261124T035114Z',
  '2026-W48-2T03:51:14Z',
  '2026-328T03:51:14Z',
  'Tue, 24 Nov 2026 03:51:14 GMT',
  '２０２６-11-24T03:51:14Z',
];

test.each(rejected)('%j is not an RFC 3339 date-time', (value) => {
  expect(parseTimestamp(value)).toBeUndefined();
});

test('the last time with a four-digit year is 9999-12-31T23:59:59.999Z', () => {
  expect(new Date(latestTimestampMs).toISOString()).toBe('9999-12-31T23:59:59.999Z');
});

describe('for all four-digit years', () => {
  const fromYearZero = Date.parse('0000-01-01T00:00:00.000Z');

  test('every time is parsed from its ISO string', () => {
    fc.assert(
      fc.property(fc.integer({ min: fromYearZero, max: latestTimestampMs }), (ms) => {
        expect(parseTimestamp(new Date(ms).toISOString())).toBe(ms);
      }),
    );
  });

  test('an offset is subtracted, and digits below a millisecond are ignored', () => {
    const time = fc.integer({ min: 0, max: latestTimestampMs - 86_400_000 });
    const offset = fc.integer({ min: 0, max: 23 * 60 + 59 });
    const extraDigits = fc.stringMatching(/^[0-9]{0,20}$/);
    fc.assert(
      fc.property(time, offset, extraDigits, (ms, offsetMinutes, digits) => {
        const zone = [Math.floor(offsetMinutes / 60), offsetMinutes % 60].map((part) =>
          String(part).padStart(2, '0'),
        );
        const local = new Date(ms + offsetMinutes * 60_000).toISOString().slice(0, -1);
        expect(parseTimestamp(`${local}${digits}+${zone.join(':')}`)).toBe(ms);
      }),
    );
  });

  test('a day is valid exactly if the calendar has it', () => {
    const part = fc.integer({ min: 0, max: 99 });
    fc.assert(
      fc.property(fc.integer({ min: 1600, max: 9999 }), part, part, (year, month, day) => {
        const value = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}T12:00:00.000Z`;
        const date = new Date(Date.UTC(year, month - 1, day, 12));
        const isInCalendar = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
        expect(parseTimestamp(value)).toBe(
          isInCalendar && month >= 1 && month <= 12 ? date.getTime() : undefined,
        );
      }),
    );
  });

  test('the result for any string is an integer or undefined', () => {
    const almostValid = fc
      .tuple(
        fc.constantFrom(...accepted.map(([value]) => value)),
        fc.nat({ max: 40 }),
        fc.string({ maxLength: 3 }),
      )
      .map(([value, at, other]) => value.slice(0, at) + other + value.slice(at + other.length));
    fc.assert(
      fc.property(fc.oneof(fc.string(), almostValid), (value) => {
        const ms = parseTimestamp(value);
        expect(ms === undefined || Number.isInteger(ms)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
