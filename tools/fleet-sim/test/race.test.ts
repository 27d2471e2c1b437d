import { encodeAttributes } from '@app/shared/codec';
import { decodeFields, encodeFields } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { race, raceImeis, type RaceOptions } from '../src/race.ts';
import { Tally } from '../src/tally.ts';
import type { TimedRecord } from '../src/timed-record.ts';
import { noTrouble } from '../src/trouble.ts';

const startAtMs = Date.UTC(2026, 6, 4, 9);
const minuteMs = 60_000;

const aRace = (options: Partial<RaceOptions> = {}): TimedRecord[] => [
  ...race({ seed: 7, vehicles: 5, startAtMs, durationMs: 2 * minuteMs, ...options }),
];

const asBytes = (records: readonly TimedRecord[]): string =>
  records.map(({ sendAtMs, record }) => `${sendAtMs} ${encodeFields(record).join(' ')}\n`).join('');

const positionsOf = (records: readonly TimedRecord[], imei: string | undefined): Position[] =>
  records.map(({ record }) => record.position).filter(({ deviceId }) => deviceId === imei);

describe('a seed', () => {
  const anyRace = fc.record({
    seed: fc.maxSafeNat(),
    vehicles: fc.integer({ min: 1, max: 6 }),
    durationMs: fc.integer({ min: 1, max: minuteMs }),
  });

  test('gives the same race byte for byte', () => {
    fc.assert(
      fc.property(anyRace, (options) => {
        expect(asBytes(aRace(options))).toBe(asBytes(aRace(options)));
      }),
      { numRuns: 20 },
    );
  });

  test('gives another race than the next seed', () => {
    fc.assert(
      fc.property(anyRace, ({ seed, vehicles }) => {
        const next = asBytes(aRace({ seed: seed + 1, vehicles })).replaceAll(/\d{15}/g, '');
        expect(asBytes(aRace({ seed, vehicles })).replaceAll(/\d{15}/g, '')).not.toBe(next);
      }),
      { numRuns: 20 },
    );
  });

  test('gives a vehicle the same drive in a small and a large fleet', () => {
    const [first] = raceImeis({ seed: 7, vehicles: 1 });
    expect(positionsOf(aRace({ vehicles: 9 }), first)).toEqual(positionsOf(aRace({ vehicles: 1 }), first));
  });
});

test('every record round-trips through the codec', () => {
  for (const { record } of aRace({ vehicles: 12 })) {
    const { attributes, ...fields } = record.position;
    expect(decodeFields(encodeFields(record).map((field) => Buffer.from(field)))).toEqual({
      ...record,
      position: { ...fields, attributesJson: encodeAttributes(attributes) },
    });
  }
});

test('records are ordered by send time, from the start until before the end', () => {
  const sendAtMs = aRace({ durationMs: 30_500 }).map((sending) => sending.sendAtMs);
  expect(sendAtMs).toEqual(sendAtMs.toSorted((a, b) => a - b));
  expect(sendAtMs[0]).toBeGreaterThanOrEqual(startAtMs);
  expect(sendAtMs.at(-1)).toBeLessThan(startAtMs + 30_500);
});

test('without trouble each tracker sends one fix per second, in order, within a second', () => {
  const records = aRace({ trouble: noTrouble });
  for (const imei of raceImeis({ seed: 7, vehicles: 5 })) {
    const stamps = positionsOf(records, imei).map(({ fixAtMs }) => fixAtMs);
    expect(stamps).toEqual(Array.from({ length: 120 }, (_, second) => startAtMs + 1000 * second));
  }
  for (const { sendAtMs, record } of records) expect(sendAtMs - record.position.fixAtMs).toBeLessThan(1000);
});

test('vehicles start at intervals', () => {
  const records = aRace({ trouble: noTrouble, startIntervalMs: 20_000 });
  const startsS = raceImeis({ seed: 7, vehicles: 5 }).map((imei) =>
    positionsOf(records, imei).findIndex(({ speedKmh }) => speedKmh > 0),
  );
  expect(startsS).toEqual([1, 21, 41, 61, 81]);
});

test('the course is the direction of movement', () => {
  const [imei] = raceImeis({ seed: 7, vehicles: 1 });
  const positions = positionsOf(aRace({ vehicles: 1, trouble: noTrouble }), imei);
  const moving = positions.slice(1).flatMap((to, index) => {
    const from = positions[index];
    if (from === undefined || from.speedKmh < 60) return [];
    const northM = (to.latitude - from.latitude) * 111_320;
    const eastM = (to.longitude - from.longitude) * 111_320 * Math.cos((to.latitude * Math.PI) / 180);
    const offDeg = (Math.atan2(eastM, northM) * 180) / Math.PI - from.courseDeg;
    return [Math.abs(((offDeg + 540) % 360) - 180)];
  });
  expect(moving.length).toBeGreaterThan(60);
  // The median: in curves, and with the receiver's drift, single values differ more.
  expect(moving.toSorted((a, b) => a - b)[Math.floor(moving.length / 2)]).toBeLessThan(6);
});

describe('tracker faults', () => {
  test('a duplicate is identical to its original', () => {
    const records = aRace({ trouble: { ...noTrouble, duplicateChance: 0.1 } });
    const tally = tallied(records);
    expect(tally.duplicates).toBeGreaterThan(20);
    expect(tally.distinct + tally.duplicates).toBe(records.length);
  });

  test('after a coverage hole the backlog is sent newest first', () => {
    const [imei] = raceImeis({ seed: 7, vehicles: 1 });
    const trouble = { ...noTrouble, holeChance: 0.05, holeS: [10, 10] as const };
    const stamps = positionsOf(aRace({ vehicles: 1, trouble }), imei).map(({ fixAtMs }) => fixAtMs);
    const back = stamps.findIndex((stamp, index) => stamp < (stamps[index - 1] ?? 0));
    const burst = stamps.slice(back - 1, back + 10);
    expect(burst).toEqual(Array.from({ length: 11 }, (_, index) => (burst[0] ?? 0) - 1000 * index));
    // No second is missing.
    const sorted = stamps.toSorted((a, b) => a - b);
    expect(sorted).toEqual(sorted.map((_, second) => startAtMs + 1000 * second));
  });

  test('without satellites the last valid coordinates are repeated, with speed and course 0', () => {
    const [imei] = raceImeis({ seed: 7, vehicles: 1 });
    const trouble = { ...noTrouble, blindChance: 0.05 };
    const positions = positionsOf(aRace({ vehicles: 1, trouble }), imei);
    const first = positions.findIndex(({ satellites }) => satellites === 0);
    const { latitude, longitude, altitudeM } = positions[first - 1] ?? {};
    expect(positions[first]).toMatchObject({ latitude, longitude, altitudeM, speedKmh: 0, courseDeg: 0 });
    expect(latitude).not.toBe(0);
  });

  test('after a reboot nothing is sent for a while, then 0/0, then the true position', () => {
    const [imei] = raceImeis({ seed: 7, vehicles: 1 });
    const trouble = { ...noTrouble, rebootChance: 0.02, bootS: [5, 5] as const, searchS: [3, 3] as const };
    const positions = positionsOf(aRace({ vehicles: 1, trouble }), imei);
    const first = positions.findIndex(({ latitude }) => latitude === 0);
    expect((positions[first]?.fixAtMs ?? 0) - (positions[first - 1]?.fixAtMs ?? 0)).toBe(6_000);
    expect(positions.slice(first, first + 3)).toMatchObject(
      Array.from({ length: 3 }, () => ({ latitude: 0, longitude: 0, satellites: 0 })),
    );
    expect(positions[first + 3]?.latitude).toBeGreaterThan(62);
  });

  test('a panic record has its own fix time and is sent before older records', () => {
    const trouble = { ...noTrouble, panicChance: 0.05, holeChance: 0.02 };
    const records = aRace({ vehicles: 1, trouble });
    const stamps = records.map(({ record }) => record.position.fixAtMs);
    const panics = records.flatMap(({ record }, index) => (record.position.priority === 2 ? [index] : []));
    expect(panics.length).toBeGreaterThan(2);
    for (const index of panics) {
      expect((stamps[index] ?? 0) % 1000).toBeGreaterThan(0);
      // An older record is sent after it.
      expect(stamps.slice(index + 1).some((stamp) => stamp < (stamps[index] ?? 0))).toBe(true);
    }
    expect(tallied(records).conflicting).toBe(0);
  });

  test('with isPanicSameTime a panic record has the fix time of another record', () => {
    const trouble = { ...noTrouble, panicChance: 0.05, isPanicSameTime: true };
    const records = aRace({ trouble });
    const panics = records.filter(({ record }) => record.position.priority === 2);
    expect(panics.length).toBeGreaterThan(2);
    expect(tallied(records).conflicting).toBe(panics.length);
  });

  test('slowClocks puts clocks 1,024 weeks behind', () => {
    const [slow, right] = raceImeis({ seed: 7, vehicles: 2 });
    const records = aRace({ vehicles: 2, trouble: { ...noTrouble, slowClocks: 1 } });
    expect(positionsOf(records, slow)[0]?.fixAtMs).toBe(startAtMs - 1024 * 7 * 86_400_000);
    expect(positionsOf(records, right)[0]?.fixAtMs).toBe(startAtMs);
  });

  test('every fault happens in ten minutes of a race of 50 vehicles', () => {
    const records = aRace({ vehicles: 50, durationMs: 10 * minuteMs });
    const positions = records.map(({ record }) => record.position);
    expect(tallied(records)).toMatchObject({ conflicting: 0, bad: 0 });
    expect(tallied(records).duplicates).toBeGreaterThan(0);
    expect(positions.some(({ satellites, latitude }) => satellites === 0 && latitude > 0)).toBe(true);
    expect(positions.some(({ latitude, longitude }) => latitude === 0 && longitude === 0)).toBe(true);
    expect(positions.some(({ priority }) => priority === 2)).toBe(true);
    expect(records.some(({ sendAtMs, record }) => sendAtMs - record.position.fixAtMs > 30_000)).toBe(true);
    const kinds = new Set(
      positions.flatMap(({ attributes }) => Object.values(attributes).map((value) => typeof value)),
    );
    expect([...kinds].toSorted()).toEqual(['bigint', 'boolean', 'number', 'object', 'string']);
    expect(new Set(records.map(({ record }) => record.codec))).toEqual(new Set(['8', '8E', '16']));
  });
});

function tallied(records: readonly TimedRecord[]) {
  const tally = new Tally();
  for (const { record } of records) {
    tally.countRecord(record.position.deviceId, record.position.fixAtMs, encodeFields(record).at(-1) ?? '');
  }
  return tally.counts;
}
