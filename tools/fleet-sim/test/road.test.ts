import { expect, test } from 'vitest';
import { circuit } from '../src/circuit.ts';
import { drive, type Motion } from '../src/drive.ts';
import { createRandom } from '../src/random.ts';
import { buildRoad, grip, type RoadPoint } from '../src/road.ts';

const road = buildRoad(circuit);
const stepM = road.lengthM / road.points.length;

test('the road passes through every waypoint and is closed', () => {
  for (const [eastM, northM, altitudeM] of circuit.waypoints) {
    const nearestM = Math.min(
      ...road.points.map((point) =>
        Math.hypot(point.eastM - eastM, point.northM - northM, point.altitudeM - altitudeM),
      ),
    );
    expect(nearestM).toBeLessThan(stepM);
  }
  expect(road.lengthM).toBeGreaterThan(8_000);
  expect(gapM(road.at(-stepM), road.at(0))).toBeCloseTo(stepM, 1);
});

test('offsets wrap around in both directions', () => {
  expect(road.at(road.lengthM + 100)).toBe(road.at(100));
  expect(road.at(100 - 2 * road.lengthM)).toBe(road.at(100));
});

test('the speed limit keeps within the sideways grip everywhere', () => {
  const sidewaysMps2 = road.points.map((point, index) => {
    // A point's course is that of the step after it, so these two are symmetric around the point.
    const [before, after] = [road.at((index - 2) * stepM), road.at((index + 1) * stepM)];
    const turnDeg = Math.abs(((after.courseDeg - before.courseDeg + 540) % 360) - 180);
    return point.limitMps ** 2 * ((turnDeg * Math.PI) / 180 / (3 * stepM));
  });
  expect(Math.max(...sidewaysMps2)).toBeLessThan(grip.sidewaysMps2 * 1.1);
  expect(Math.min(...road.points.map(({ limitMps }) => limitMps))).toBeLessThan(10);
  expect(Math.max(...road.points.map(({ limitMps }) => limitMps))).toBe(grip.topMps);
});

test('a vehicle waits, then keeps to its braking and acceleration limits', () => {
  const motions = drive({ random: createRandom(3), road, waitingAtM: -9, waitS: 5 });
  const driven = Array.from({ length: 600 }, (): Motion => motions.next().value);
  expect(driven.slice(0, 6).every(({ speedMps, odometerM }) => speedMps === 0 && odometerM === 0)).toBe(true);
  for (const [index, to] of driven.slice(1).entries()) {
    const gainedMps = to.speedMps - (driven[index]?.speedMps ?? 0);
    expect(gainedMps).toBeLessThanOrEqual(grip.acceleratingMps2 + 1e-9);
    expect(gainedMps).toBeGreaterThan(-grip.brakingMps2 * 1.1);
  }
  expect(driven.at(-1)?.odometerM).toBeGreaterThan(road.lengthM);
});

function gapM(a: RoadPoint, b: RoadPoint): number {
  return Math.hypot(a.eastM - b.eastM, a.northM - b.northM);
}
