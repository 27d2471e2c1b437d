import { randomUUID } from 'node:crypto';
import { buildCourse } from '@app/fleet-sim/course';
import { raceImeis } from '@app/fleet-sim/race';
import { realisticRecords } from '@app/fleet-sim/realistic-records';
import type { Race } from '@app/race/course';
import type { Fix } from '@app/race/fix';
import { entered } from './entered.ts';

/** Of `fillStream` and the open-loop generator as well. */
const seed = 1;
const seededStartAtMs = Date.UTC(2026, 5, 1);

/** The course of the demo, three stages on a circuit with 12 gates, 20 waypoints and two zones, and the simulated vehicles. */
export function seededRace(vehicles: number): Race {
  const course = buildCourse().map((stage, index) =>
    Object.assign(stage, { id: randomUUID(), order: index + 1 }),
  );
  return {
    ...entered(raceImeis({ seed, vehicles }), seededStartAtMs),
    stages: course.map(({ id, name, order, line }) => ({
      id,
      name,
      order,
      line,
      kind: 'special',
      startAtMs: undefined,
      startIntervalS: 60,
      startBy: 'gate',
      timeLimitS: undefined,
    })),
    gates: course.flatMap(({ id: stageId, gates }) =>
      gates.map(({ name, kind, left, right }, index) => ({
        id: randomUUID(),
        stageId,
        name,
        order: index + 1,
        kind,
        left,
        right,
        direction: 'forward',
        deadTimeS: 10,
        crossing: 'first',
      })),
    ),
    waypoints: course.flatMap(({ id: stageId, waypoints }) =>
      waypoints.map(({ name, kind, radiusM, missedPenaltyS, ...position }, index) => ({
        id: randomUUID(),
        stageId,
        name,
        order: index + 1,
        position,
        radiusM,
        kind,
        missedPenaltyS,
        isAnyOrder: false,
      })),
    ),
    zones: course.flatMap(({ id: stageId, zones }) =>
      zones.map(({ name, kind, polygon, limitKmh = 0 }) => ({
        id: randomUUID(),
        stageId,
        name,
        kind,
        area: { polygon },
        limitKmh,
        toleranceKmh: 0,
        graceM: 0,
        minimumDurationS: 0,
        penaltyFactor: 10,
      })),
    ),
  };
}

/** A fix a second of each vehicle, by device. */
export function seededFixes(vehicles: number, seconds: number): ReadonlyMap<string, readonly Fix[]> {
  const fixes = new Map<string, Fix[]>();
  let rest = vehicles * seconds;
  for (const { position } of realisticRecords({ seed, startAtMs: seededStartAtMs, devices: vehicles })) {
    if (rest-- === 0) break;
    const { deviceId, fixAtMs, latitude, longitude, speedKmh, priority } = position;
    const fix = { fixAtMs, latitude, longitude, speedKmh, hdop: 0.8, priority, quality: 0, isFaulty: false };
    const ofDevice = fixes.get(deviceId);
    if (ofDevice) ofDevice.push(fix);
    else fixes.set(deviceId, [fix]);
  }
  // Copied device by device, as they are read from a database: those of one device are then next to each other in memory.
  return new Map(
    [...fixes].map(([deviceId, ofDevice]) => [deviceId, ofDevice.map((fix) => Object.assign({}, fix))]),
  );
}
