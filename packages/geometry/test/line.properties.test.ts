import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { GeoPoint } from '../src/geo-point.ts';
import { projectOnLine } from '../src/line.ts';
import { atLineStart } from '../src/progress.ts';
import { geodesicM, travel } from './support/arbitrary-geo.ts';
import { at, drive, follow, line, origin } from './support/lines.ts';
import { uniform } from './support/uniform.ts';

const bends = fc
  .array(fc.tuple(uniform(-170, 170), uniform(5, 400)), {
    minLength: 1,
    maxLength: 200,
    size: 'max',
  })
  .map((legs) => {
    const points: GeoPoint[] = [origin];
    for (const [azimuth, metres] of legs) points.push(travel(points.at(-1) ?? origin, azimuth, metres));
    return points;
  });

test('the length is the sum of the geodesics', () => {
  fc.assert(
    fc.property(bends, (points) => {
      const metres = points.slice(1).reduce((sum, to, index) => sum + geodesicM(points[index] ?? to, to), 0);
      expect(Math.abs(line(points).lengthM - metres)).toBeLessThan(1e-4);
    }),
  );
});

test('a projection is as close as any place of the line, within any window', () => {
  const share = uniform(0, 1);
  const offset = uniform(-500, 500);
  fc.assert(
    fc.property(bends, offset, offset, share, share, (points, eastM, northM, a, b) => {
      const on = line(points);
      const from = at(eastM, northM);
      const [fromM, toM] = [Math.min(a, b) * on.lengthM, Math.max(a, b) * on.lengthM];
      const { alongM, distanceM: metres } = projectOnLine(on, from, fromM, toM);
      expect(alongM).toBeGreaterThanOrEqual(fromM - 1e-6);
      expect(alongM).toBeLessThanOrEqual(toM + 1e-6);
      const stepM = Math.max(1, on.lengthM / 500);
      for (const { alongM: placeM, fix } of follow(on, stepM)) {
        if (placeM < fromM || placeM > toM) continue;
        const reference = geodesicM(from, fix);
        expect(metres).toBeLessThan(reference + 1e-3 + 2e-7 * reference * reference);
        if (Math.abs(placeM - alongM) <= stepM) expect(Math.abs(metres - reference)).toBeLessThan(2 * stepM);
      }
    }),
    { numRuns: 50 },
  );
});

test('progress never decreases and stays on the line, whatever the fixes', () => {
  const fix = fc.record({
    eastM: uniform(-500, 2500),
    northM: uniform(-500, 2500),
  });
  fc.assert(
    fc.property(bends, fc.array(fix, { maxLength: 40 }), (points, track) => {
      const on = line(points);
      let before = atLineStart;
      for (const step of drive(
        on,
        atLineStart,
        track.map(({ eastM, northM }) => at(eastM, northM)),
      )) {
        expect(step.progressM).toBeGreaterThanOrEqual(before.progressM);
        expect(step.progressM).toBeLessThanOrEqual(on.lengthM + 1e-6);
        expect(step.isOnTrack ? step.distanceM <= 100 : step.distanceM >= 0).toBe(true);
        before = step;
      }
    }),
  );
});
