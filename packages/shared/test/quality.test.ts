import { describe, expect, test } from 'vitest';
import {
  defaultFutureFlagMs,
  defaultFutureLimitMs,
  fixFlag,
  fixQuality,
  qualityFlags,
} from '../src/quality.ts';

const arrivedAtMs = Date.UTC(2026, 10, 24, 12);
const good = { fixAtMs: arrivedAtMs - 800, latitude: 48.1, longitude: 11.5, satellites: 9 };

function flags(fix: Partial<typeof good>) {
  return qualityFlags(fixQuality({ ...good, ...fix }, arrivedAtMs, defaultFutureFlagMs));
}

test('a good fix has no flag', () => {
  expect(fixQuality(good, arrivedAtMs, defaultFutureFlagMs)).toBe(0);
  expect(flags({})).toEqual([]);
});

describe('each flag is set exactly at its bound', () => {
  test.each([
    ['no satellite', { satellites: 0 }, ['no_fix']],
    ['one satellite', { satellites: 1 }, []],
    ['0/0', { latitude: 0, longitude: 0 }, ['null_island']],
    ['a fix on the equator', { latitude: 0 }, []],
    ['a fix on the prime meridian', { longitude: 0 }, []],
    ['a fix just beside 0/0', { latitude: 1e-7, longitude: 0 }, []],
    ['two minutes ahead', { fixAtMs: arrivedAtMs + defaultFutureFlagMs }, []],
    ['a millisecond more ahead', { fixAtMs: arrivedAtMs + defaultFutureFlagMs + 1 }, ['future']],
    ['the first moment of 2010', { fixAtMs: Date.UTC(2010, 0, 1) }, []],
    ['the last moment of 2009', { fixAtMs: Date.UTC(2010, 0, 1) - 1 }, ['ancient']],
    [
      'a tracker after a reboot',
      { fixAtMs: 0, latitude: 0, longitude: 0, satellites: 0 },
      ['no_fix', 'null_island', 'ancient'],
    ],
  ])('%s', (_, fix, expected) => {
    expect(flags(fix)).toEqual(expected);
  });
});

test('the caller sets the tolerance for future fixes', () => {
  const fix = { ...good, fixAtMs: arrivedAtMs + 5000 };
  expect(fixQuality(fix, arrivedAtMs, 4999)).toBe(fixFlag.future);
  expect(fixQuality(fix, arrivedAtMs, 5000)).toBe(0);
});

test('a late upload is a good fix', () => {
  expect(flags({ fixAtMs: arrivedAtMs - 30 * 86_400_000 })).toEqual([]);
});

test('each flag has its own bit and a name', () => {
  const bits = Object.values(fixFlag);
  const all = bits.reduce((sum, bit) => sum | bit, 0);
  expect(all).toBe(bits.reduce((sum, bit) => sum + bit, 0));
  expect(all).toBeLessThan(2 ** 15); // a smallint column
  expect(qualityFlags(all)).toEqual(['no_fix', 'null_island', 'future', 'ancient', 'jump']);
});

test('the defaults are two minutes for the flag and a day for the limit', () => {
  expect([defaultFutureFlagMs, defaultFutureLimitMs]).toEqual([2 * 60_000, 24 * 3_600_000]);
});
