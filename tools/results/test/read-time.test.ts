import { expect, test } from 'vitest';
import { readTime } from '../src/import/read-time.ts';

const helsinki = { date: '2026-07-04', timeZone: 'Europe/Helsinki' };

test.for([
  ['2026-07-04T09:05:00+03:00', {}, '2026-07-04T06:05:00.000Z'],
  ['2026-07-04 09:05Z', {}, '2026-07-04T09:05:00.000Z'],
  ['2026-07-04T09:05:00.250-0930', {}, '2026-07-04T18:35:00.250Z'],
  ['09:05:00', helsinki, '2026-07-04T06:05:00.000Z'],
  ['9:05', helsinki, '2026-07-04T06:05:00.000Z'],
  ['00:30:00.5', helsinki, '2026-07-03T21:30:00.500Z'],
  ['2026-01-04 09:05:00', helsinki, '2026-01-04T07:05:00.000Z'],
  ['09:05:00', { date: '2026-07-04', timeZone: 'UTC' }, '2026-07-04T09:05:00.000Z'],
  ['09:05:00', { date: '2026-07-04', timeZone: 'Asia/Kathmandu' }, '2026-07-04T03:20:00.000Z'],
  // On both sides of the hour that is left out, and of the one that comes twice.
  ['2026-03-29 02:59', helsinki, '2026-03-29T00:59:00.000Z'],
  ['2026-03-29 04:00', helsinki, '2026-03-29T01:00:00.000Z'],
  ['2026-10-25 02:59', helsinki, '2026-10-24T23:59:00.000Z'],
  ['2026-10-25 04:00', helsinki, '2026-10-25T02:00:00.000Z'],
] as const)('%s is %s', ([text, local, expected]) => {
  const atMs = readTime(text, { date: undefined, timeZone: undefined, ...local });
  expect(typeof atMs === 'number' ? new Date(atMs).toISOString() : atMs).toBe(expected);
});

test.for([
  ['2026-03-29 03:30', helsinki, 'does not exist in Europe/Helsinki, where clocks change'],
  ['2026-10-25 03:30', helsinki, 'is there twice in Europe/Helsinki, where clocks change'],
  ['24:01', helsinki, 'does not exist'],
  ['09:05:00', { timeZone: 'UTC' }, 'has no date; give --date'],
  ['09:05:00', {}, 'has no offset; give --time-zone'],
  ['09.05', helsinki, 'must be like 2026-07-04T09:05:00+03:00 or 09:05:00'],
  ['2026-02-30T09:05:00Z', {}, 'does not exist'],
  ['2026-02-30 09:05', helsinki, 'does not exist'],
] as const)('%s is refused with a sentence', ([text, local, problem]) => {
  expect(readTime(text, { date: undefined, timeZone: undefined, ...local })).toEqual({
    problem: expect.stringContaining(problem),
  });
});
