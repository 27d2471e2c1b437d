import type { Race } from '@app/race/course';
import { evaluateRace } from '@app/race/evaluate-race';
import type { Fix } from '@app/race/fix';
import { defaultThresholds } from '@app/race/thresholds';
import { expect, test } from 'vitest';
import { buildCourse } from '../src/course.ts';
import { race, raceImeis } from '../src/race.ts';
import { noTrouble } from '../src/trouble.ts';

const startAtMs = Date.UTC(2026, 6, 4, 9);
const course = buildCourse();

function aRace(imeis: readonly string[]): Race {
  const gates = course.flatMap((stage) =>
    stage.gates.map((gate, n) => ({
      ...gate,
      id: `${stage.name} ${gate.name}`,
      stageId: stage.name,
      order: n + 1,
      direction: 'forward' as const,
      deadTimeS: 10,
      crossing: 'first' as const,
    })),
  );
  return {
    event: {
      id: 'event',
      name: 'A simulated rally',
      startAtMs,
      endAtMs: undefined,
      thresholds: defaultThresholds,
    },
    stages: course.map(({ name, line }, n) => ({
      id: name,
      name,
      order: n + 1,
      kind: 'special',
      line,
      startAtMs: undefined,
      startIntervalS: 60,
      startBy: 'gate',
      timeLimitS: undefined,
    })),
    gates,
    waypoints: course.flatMap((stage) =>
      stage.waypoints.map(({ latitude, longitude, ...waypoint }, n) => ({
        ...waypoint,
        id: `${stage.name} ${waypoint.name}`,
        stageId: stage.name,
        order: n + 1,
        position: { latitude, longitude },
        isAnyOrder: false,
      })),
    ),
    zones: course.flatMap((stage) =>
      stage.zones.map(({ polygon, limitKmh = 0, ...zone }) => ({
        ...zone,
        id: `${stage.name} ${zone.name}`,
        stageId: stage.name,
        area: { polygon },
        limitKmh,
        toleranceKmh: 0,
        graceM: 0,
        minimumDurationS: 0,
        penaltyFactor: 10,
      })),
    ),
    entries: imeis.map((imei, n) => ({
      id: imei,
      number: `${n + 1}`,
      crew: '',
      class: '',
      startOrder: n + 1,
      startAtMs: undefined,
      status: 'entered',
    })),
    assignments: imeis.map((imei) => ({
      id: imei,
      entryId: imei,
      deviceId: imei,
      order: 1,
      fromMs: undefined,
      untilMs: undefined,
    })),
    decisions: [],
  };
}

test('the course has three stages, 12 gates, 20 waypoints, a speed and a protected zone', () => {
  expect(course).toHaveLength(3);
  expect(course.flatMap(({ gates }) => gates)).toHaveLength(12);
  expect(course.flatMap(({ waypoints }) => waypoints)).toHaveLength(20);
  expect(course.flatMap(({ zones }) => zones.map(({ kind }) => kind))).toEqual(['protected', 'speed']);
});

test('every simulated vehicle finishes the stages by every gate and waypoint, and speeds in the speed zone', () => {
  const options = { seed: 1, vehicles: 3 };
  const imeis = raceImeis(options);
  const fixes = new Map<string, Fix[]>(imeis.map((imei) => [imei, []]));
  for (const { record } of race({ ...options, startAtMs, durationMs: 7 * 60_000, trouble: noTrouble })) {
    const { deviceId, fixAtMs, latitude, longitude, speedKmh, priority } = record.position;
    const fix = {
      fixAtMs,
      latitude,
      longitude,
      speedKmh,
      hdop: undefined,
      priority,
      quality: 0,
      isFaulty: false,
    };
    fixes.get(deviceId)?.push(fix);
  }
  const { checked, entries } = evaluateRace(aRace(imeis), fixes, startAtMs + 7 * 60_000);
  expect(checked.problems.filter(({ isRefused }) => isRefused)).toEqual([]);
  for (const entry of entries) {
    expect(
      entry.stages.map(({ status, gatesPassed, missedWaypoints }) => [status, gatesPassed, missedWaypoints]),
    ).toEqual([
      ['finished', 4, 0],
      ['finished', 4, 0],
      ['finished', 4, 0],
    ]);
    expect(new Set(entry.zoneEpisodes.map(({ zoneId }) => zoneId))).toEqual(new Set(['SS 2 Village']));
  }
});
