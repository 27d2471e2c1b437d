import { distanceM } from '../../src/distance.ts';
import type { GeoPoint } from '../../src/geo-point.ts';
import { GeometryError } from '../../src/geometry-error.ts';
import { prepareLine, type Line } from '../../src/line.ts';
import { advanceProgress, type Progress } from '../../src/progress.ts';
import { travel } from './arbitrary-geo.ts';
import { createRandom } from './random.ts';

export const origin = { latitude: 48, longitude: 11 };
/** A place so many metres east and then north of the origin. */
export const at = (eastM: number, northM: number): GeoPoint => travel(travel(origin, 90, eastM), 0, northM);

export function line(points: readonly GeoPoint[]): Line {
  const prepared = prepareLine(points.map(({ longitude, latitude }) => [longitude, latitude]));
  if (prepared instanceof GeometryError) throw new Error(prepared.message);
  return prepared;
}

/** The progress after each fix, with the straight distances between them. */
export function drive(on: Line, start: Progress, track: readonly GeoPoint[]): Progress[] {
  const steps: Progress[] = [];
  for (const [index, fix] of track.entries()) {
    const movedM = distanceM(track[index - 1] ?? fix, fix);
    steps.push(advanceProgress(on, steps.at(-1) ?? start, fix, movedM));
  }
  return steps;
}

/** Fixes every `stepM` along a line, each `errorM` metres (normal, per axis) off it. */
export function follow(
  on: Line,
  stepM: number,
  errorM = 0,
  untilM = on.lengthM,
): { alongM: number; fix: GeoPoint }[] {
  const random = createRandom(5);
  const fixes = [];
  for (let alongM = 0; alongM <= untilM; alongM += stepM) {
    const segment = Math.max(
      0,
      on.cumulativeM.findLastIndex((startM) => startM <= alongM && startM < on.lengthM),
    );
    const [fromX = 0, toX = 0] = on.x.subarray(segment, segment + 2);
    const [fromY = 0, toY = 0] = on.y.subarray(segment, segment + 2);
    const [startM = 0, endM = 0] = on.cumulativeM.subarray(segment, segment + 2);
    const share = (alongM - startM) / (endM - startM);
    const exact = { longitude: fromX + share * (toX - fromX), latitude: fromY + share * (toY - fromY) };
    const fix = travel(travel(exact, 90, errorM * random.normal()), 0, errorM * random.normal());
    fixes.push({ alongM, fix });
  }
  return fixes;
}
