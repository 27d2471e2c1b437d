import type { TelemetryRecord } from '@app/shared/entry';
import { expect, test } from 'vitest';
import { realisticRecords } from '../src/realistic-records.ts';

const options = { seed: 1, startAtMs: Date.UTC(2026, 6, 4) };

test('1,000 devices alternate, each record with 14 to 20 attributes and a new fix time', () => {
  const records = firstOf(realisticRecords(options), 3_000);
  expect(new Set(records.map(({ position }) => position.deviceId)).size).toBe(1_000);
  expect(new Set(records.map(({ position }) => `${position.deviceId} ${position.fixAtMs}`)).size).toBe(3_000);
  const counts = records.map(({ position }) => Object.keys(position.attributes).length);
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(14);
  expect(Math.max(...counts)).toBeLessThanOrEqual(20);
});

test.for([2, 14, 100])('gives exactly %i attributes if requested', (attributes) => {
  for (const { position } of firstOf(realisticRecords({ ...options, devices: 10, attributes }), 50)) {
    expect(Object.keys(position.attributes)).toHaveLength(attributes);
  }
});

function firstOf(records: Iterable<TelemetryRecord>, count: number): TelemetryRecord[] {
  const first: TelemetryRecord[] = [];
  for (const record of records) {
    first.push(record);
    if (first.length === count) break;
  }
  return first;
}
