import { decodeFields, encodeFields } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { race, raceImeis, type RaceOptions, type Sending } from '../src/race.ts';
import { Tally } from '../src/tally.ts';
import { noTrouble } from '../src/trouble.ts';

const startAtMs = Date.UTC(2026, 6, 4, 9);
const minuteMs = 60_000;

const aRace = (options: Partial<RaceOptions> = {}): Sending[] => [
  ...race({ seed: 7, vehicles: 5, startAtMs, durationMs: 2 * minuteMs, ...options }),
];

const asBytes = (sendings: readonly Sending[]): string =>
  sendings.map(({ sendAtMs, record }) => `${sendAtMs} ${encodeFields(record).join(' ')}\n`).join('');

const positionsOf = (sendings: readonly Sending[], imei: string | undefined): Position[] =>
  sendings.map(({ record }) => record.position).filter(({ deviceId }) => deviceId === imei);

describe('a seed', () => {
  const anyRace = fc.record({
    seed: fc.maxSafeNat(),
    vehicles: fc.integer({ min: 1, max: 6 }),
    durationMs: fc.integer({ min: 1, max: minuteMs }),
  });

  test('gives the same race again, byte for byte', () => {
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

  test('gives the vehicles of a small fleet the same race as in a large one', () => {
    const [first] = raceImeis({ seed: 7, vehicles: 1 });
    expect(positionsOf(aRace({ vehicles: 9 }), first)).toEqual(positionsOf(aRace({ vehicles: 1 }), first));
  });
});

test('every record is one that the decoder takes, and says the same afterwards', () => {
  for (const { record } of aRace({ vehicles: 12 })) {
    expect(decodeFields(encodeFields(record).map((field) => Buffer.from(field)))).toEqual(record);
  }
});

test('records come in sending order, none before the start and none at or after the end', () => {
  const sendAtMs = aRace({ durationMs: 30_500 }).map((sending) => sending.sendAtMs);
  expect(sendAtMs).toEqual(sendAtMs.toSorted((a, b) => a - b));
  expect(sendAtMs[0]).toBeGreaterThanOrEqual(startAtMs);
  expect(sendAtMs.at(-1)).toBeLessThan(startAtMs + 30_500);
});

test('without trouble each tracker sends one fix a second, in order, soon after it was taken', () => {
  const sendings = aRace({ trouble: noTrouble });
  for (const imei of raceImeis({ seed: 7, vehicles: 5 })) {
    const stamps = positionsOf(sendings, imei).map(({ fixAtMs }) => fixAtMs);
    expect(stamps).toEqual(Array.from({ length: 120 }, (_, second) => startAtMs + 1000 * second));
  }
  for (const { sendAtMs, record } of sendings) expect(sendAtMs - record.position.fixAtMs).toBeLessThan(1000);
});

test('vehicles stand until their turn and start in intervals', () => {
  const sendings = aRace({ trouble: noTrouble, startIntervalMs: 20_000 });
  const startsS = raceImeis({ seed: 7, vehicles: 5 }).map((imei) =>
    positionsOf(sendings, imei).findIndex(({ speedKmh }) => speedKmh > 0),
  );
  expect(startsS).toEqual([1, 21, 41, 61, 81]);
});

test('the course is the direction in which the vehicle moves', () => {
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
  // Half of them within a few degrees; the rest are in a bend, or its drift is in the coordinates.
  expect(moving.toSorted((a, b) => a - b)[Math.floor(moving.length / 2)]).toBeLessThan(6);
});

describe('what real trackers do', () => {
  test('the same record comes twice, and is then the same', () => {
    const sendings = aRace({ trouble: { ...noTrouble, duplicateChance: 0.1 } });
    const tally = tallied(sendings);
    expect(tally.duplicates).toBeGreaterThan(20);
    expect(tally.distinct + tally.duplicates).toBe(sendings.length);
  });

  test('after a coverage hole the newest comes first and the backlog newest first after it', () => {
    const [imei] = raceImeis({ seed: 7, vehicles: 1 });
    const trouble = { ...noTrouble, holeChance: 0.05, holeS: [10, 10] as const };
    const stamps = positionsOf(aRace({ vehicles: 1, trouble }), imei).map(({ fixAtMs }) => fixAtMs);
    const back = stamps.findIndex((stamp, index) => stamp < (stamps[index - 1] ?? 0));
    const burst = stamps.slice(back - 1, back + 10);
    expect(burst).toEqual(Array.from({ length: 11 }, (_, index) => (burst[0] ?? 0) - 1000 * index));
    // All of it arrives: once sorted, no second is missing.
    const sorted = stamps.toSorted((a, b) => a - b);
    expect(sorted).toEqual(sorted.map((_, second) => startAtMs + 1000 * second));
  });

  test('without satellites the last valid coordinates stay, with speed and course 0', () => {
    const [imei] = raceImeis({ seed: 7, vehicles: 1 });
    const trouble = { ...noTrouble, blindChance: 0.05 };
    const positions = positionsOf(aRace({ vehicles: 1, trouble }), imei);
    const first = positions.findIndex(({ satellites }) => satellites === 0);
    const { latitude, longitude, altitudeM } = positions[first - 1] ?? {};
    expect(positions[first]).toMatchObject({ latitude, longitude, altitudeM, speedKmh: 0, courseDeg: 0 });
    expect(latitude).not.toBe(0);
  });

  test('after a reboot nothing comes for a while, then 0/0, then the true place again', () => {
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

  test('a panic record bears its own stamp and jumps the queue', () => {
    const trouble = { ...noTrouble, panicChance: 0.05, holeChance: 0.02 };
    const sendings = aRace({ vehicles: 1, trouble });
    const stamps = sendings.map(({ record }) => record.position.fixAtMs);
    const panics = sendings.flatMap(({ record }, index) => (record.position.priority === 2 ? [index] : []));
    expect(panics.length).toBeGreaterThan(2);
    for (const index of panics) {
      expect((stamps[index] ?? 0) % 1000).toBeGreaterThan(0);
      // Something recorded before it is sent after it.
      expect(stamps.slice(index + 1).some((stamp) => stamp < (stamps[index] ?? 0))).toBe(true);
    }
    expect(tallied(sendings).conflicting).toBe(0);
  });

  test('only where it is asked for does a panic record share the stamp of another', () => {
    const trouble = { ...noTrouble, panicChance: 0.05, isPanicSameTime: true };
    const sendings = aRace({ trouble });
    const panics = sendings.filter(({ record }) => record.position.priority === 2);
    expect(panics.length).toBeGreaterThan(2);
    expect(tallied(sendings).conflicting).toBe(panics.length);
  });

  test('a clock may be 1,024 weeks slow', () => {
    const [slow, right] = raceImeis({ seed: 7, vehicles: 2 });
    const sendings = aRace({ vehicles: 2, trouble: { ...noTrouble, slowClocks: 1 } });
    expect(positionsOf(sendings, slow)[0]?.fixAtMs).toBe(startAtMs - 1024 * 7 * 86_400_000);
    expect(positionsOf(sendings, right)[0]?.fixAtMs).toBe(startAtMs);
  });

  test('in ten minutes of an ordinary race of 50 vehicles all of it happens', () => {
    const sendings = aRace({ vehicles: 50, durationMs: 10 * minuteMs });
    const positions = sendings.map(({ record }) => record.position);
    expect(tallied(sendings)).toMatchObject({ conflicting: 0, bad: 0 });
    expect(tallied(sendings).duplicates).toBeGreaterThan(0);
    expect(positions.some(({ satellites, latitude }) => satellites === 0 && latitude > 0)).toBe(true);
    expect(positions.some(({ latitude, longitude }) => latitude === 0 && longitude === 0)).toBe(true);
    expect(positions.some(({ priority }) => priority === 2)).toBe(true);
    expect(sendings.some(({ sendAtMs, record }) => sendAtMs - record.position.fixAtMs > 30_000)).toBe(true);
    const kinds = new Set(
      positions.flatMap(({ attributes }) => Object.values(attributes).map((value) => typeof value)),
    );
    expect([...kinds].toSorted()).toEqual(['bigint', 'boolean', 'number', 'object', 'string']);
    expect(new Set(sendings.map(({ record }) => record.codec))).toEqual(new Set(['8', '8E', '16']));
  });
});

function tallied(sendings: readonly Sending[]) {
  const tally = new Tally();
  for (const { record } of sendings) {
    tally.countRecord(record.position.deviceId, record.position.fixAtMs, encodeFields(record).at(-1) ?? '');
  }
  return tally.counts;
}
