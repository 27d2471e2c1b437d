import { expect, test } from 'vitest';
import { circuit } from '../src/circuit.ts';
import { drive, type Motion } from '../src/drive.ts';
import { createRandom } from '../src/random.ts';
import { drawStage, grip, type StagePoint } from '../src/stage.ts';

const stage = drawStage(circuit);
const stepM = stage.lengthM / stage.points.length;

test('the road passes through every waypoint and closes', () => {
  for (const [eastM, northM, altitudeM] of circuit.waypoints) {
    const nearestM = Math.min(
      ...stage.points.map((point) =>
        Math.hypot(point.eastM - eastM, point.northM - northM, point.altitudeM - altitudeM),
      ),
    );
    expect(nearestM).toBeLessThan(stepM);
  }
  expect(stage.lengthM).toBeGreaterThan(8_000);
  expect(gapM(stage.at(-stepM), stage.at(0))).toBeCloseTo(stepM, 1);
});

test('going round once more leads to the same place, and backwards too', () => {
  expect(stage.at(stage.lengthM + 100)).toBe(stage.at(100));
  expect(stage.at(100 - 2 * stage.lengthM)).toBe(stage.at(100));
});

test('nowhere is the speed allowed beyond what the tyres hold in the bend', () => {
  const sidewaysMps2 = stage.points.map((point, index) => {
    // A point's course is that of the step after it: these two lie as far before as after the point.
    const [before, after] = [stage.at((index - 2) * stepM), stage.at((index + 1) * stepM)];
    const turnDeg = Math.abs(((after.courseDeg - before.courseDeg + 540) % 360) - 180);
    return point.limitMps ** 2 * ((turnDeg * Math.PI) / 180 / (3 * stepM));
  });
  expect(Math.max(...sidewaysMps2)).toBeLessThan(grip.sidewaysMps2 * 1.1);
  expect(Math.min(...stage.points.map(({ limitMps }) => limitMps))).toBeLessThan(10);
  expect(Math.max(...stage.points.map(({ limitMps }) => limitMps))).toBe(grip.topMps);
});

test('a vehicle waits, then brakes and accelerates no harder than it can, for ever', () => {
  const motions = drive({ random: createRandom(3), stage, waitingAtM: -9, waitS: 5 });
  const driven = Array.from({ length: 600 }, (): Motion => motions.next().value);
  expect(driven.slice(0, 6).every(({ speedMps, odometerM }) => speedMps === 0 && odometerM === 0)).toBe(true);
  for (const [index, to] of driven.slice(1).entries()) {
    const gainedMps = to.speedMps - (driven[index]?.speedMps ?? 0);
    expect(gainedMps).toBeLessThanOrEqual(grip.acceleratingMps2 + 1e-9);
    expect(gainedMps).toBeGreaterThan(-grip.brakingMps2 * 1.1);
  }
  expect(driven.at(-1)?.odometerM).toBeGreaterThan(stage.lengthM);
});

function gapM(a: StagePoint, b: StagePoint): number {
  return Math.hypot(a.eastM - b.eastM, a.northM - b.northM);
}
