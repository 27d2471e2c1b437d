import type { LivePosition } from '@app/live-client';
import { expect, test } from 'vitest';
import { describeRace } from '../src/describe-race.ts';

const nowMs = Date.UTC(2026, 5, 1, 12);
const position = (deviceId: string, more: Partial<LivePosition>): LivePosition => ({
  deviceId,
  lat: 47.1,
  lon: 8.5,
  ts: nowMs - 400,
  ...more,
});

test('prints the vehicles shown, reporting and moving, the age of the newest fix, and the fastest', () => {
  const positions = [
    position('a', { speed: 90.4, lat: 47.12346 }),
    position('b', { speed: 31, ts: nowMs - 900 }),
    position('c', { speed: 0 }),
    // Its last fix is two minutes old, so it does not count as moving.
    position('d', { speed: 120, ts: nowMs - 120_000 }),
  ];
  expect(describeRace(positions, nowMs)).toBe(
    '4 shown, 3 reporting, 2 moving; newest fix 0.4 s old; fastest 90 km/h at 47.1235 8.5000',
  );
});

test('omits the fastest if no vehicle moves', () => {
  expect(describeRace([position('a', {})], nowMs)).toBe(
    '1 shown, 1 reporting, 0 moving; newest fix 0.4 s old',
  );
});

test('reports an event without positions', () => {
  expect(describeRace([], nowMs)).toBe('no vehicles yet');
});
