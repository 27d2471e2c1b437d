import * as fc from 'fast-check';
import type { GeoPoint } from '../../src/geo-point.ts';
import { GeometryError } from '../../src/geometry-error.ts';
import { preparePolygon, type Polygon } from '../../src/polygon.ts';
import { uniform } from './uniform.ts';

type Positions = readonly (readonly number[])[];

/** `11 48, 11.01 48, 11 48.01` as GeoJSON positions. */
export function ring(positions: string): Positions {
  return positions.split(', ').map((position) => position.split(' ').map(Number));
}

export function polygon(...rings: Positions[]): Polygon {
  const prepared = preparePolygon(rings);
  if (prepared instanceof GeometryError) throw new Error(prepared.message);
  return prepared;
}

export function point(longitude: number, latitude: number): GeoPoint {
  return { longitude, latitude };
}

/** A square of 0.01° with a hole of 0.002° in its middle. */
export const outer = ring('11 48, 11.01 48, 11.01 48.01, 11 48.01, 11 48');
export const hole = ring('11.004 48.004, 11.004 48.006, 11.006 48.006, 11.006 48.004');
export const square = polygon(outer, hole);

/** A star: distances from a centre in rising directions, so never self-crossing. */
export const arbitraryStar = fc.array(uniform(0.001, 0.01), { minLength: 3, maxLength: 12 }).map((radii) =>
  radii.map((radius, index) => {
    const radians = ((index + 0.25) / radii.length) * 2 * Math.PI;
    return [11 + radius * Math.cos(radians), 48 + radius * Math.sin(radians)];
  }),
);
/** Within the reach of a star. */
export const arbitraryPlace = fc
  .record({
    x: uniform(-0.012, 0.012),
    y: uniform(-0.012, 0.012),
  })
  .map(({ x, y }) => point(11 + x, 48 + y));
