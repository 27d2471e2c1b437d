import { PGlite } from '@electric-sql/pglite';
import { postgis } from '@electric-sql/pglite-postgis';
import { beforeAll, expect, test } from 'vitest';
import type { GeoPoint } from '../src/geo-point.ts';
import { findEdgeCrossings } from '../src/polygon-edge.ts';
import { containsPoint, type Polygon } from '../src/polygon.ts';
import { advanceProgress, anywhereOnLine } from '../src/progress.ts';
import { travel } from './support/arbitrary-geo.ts';
import { line, origin } from './support/lines.ts';
import { hole, outer, point, polygon } from './support/polygons.ts';
import { createRandom } from './support/random.ts';

type Positions = readonly (readonly number[])[];

let postgres: PGlite;
// Most of the time is that of PostGIS' WebAssembly, which is compiled again in each process.
beforeAll(async () => {
  postgres = await PGlite.create({ extensions: { postgis } });
  await postgres.exec('create extension postgis');
}, 240_000);

const random = createRandom(14);

async function ask<Row>(sql: string, cases: readonly object[]): Promise<readonly Row[]> {
  const { rows } = await postgres.query<Row>(sql, [JSON.stringify(cases)]);
  expect(rows).toHaveLength(cases.length);
  return rows;
}

/** Places between which edges are, many of them on those of the square with a hole. */
const lattice = (): GeoPoint =>
  point(10.999 + Math.round(random.within(0, 12)) * 0.001, 47.999 + Math.round(random.within(0, 12)) * 0.001);
const nearby = (): GeoPoint => point(random.within(10.985, 11.015), random.within(47.985, 48.015));

function star(): Positions {
  const corners = Math.round(random.within(3, 12));
  const ring = Array.from({ length: corners }, (_, corner) => {
    const [radians, degrees] = [((corner + 0.25) / corners) * 2 * Math.PI, random.within(0.001, 0.01)];
    return [11 + degrees * Math.cos(radians), 48 + degrees * Math.sin(radians)];
  });
  return [...ring, ...ring.slice(0, 1)];
}

const zones = Array.from({ length: 4000 }, (_, n) => {
  const rings = n % 2 === 0 ? [outer, [...hole, ...hole.slice(0, 1)]] : [star()];
  const draw = n % 2 === 0 ? lattice : nearby;
  const from = draw();
  let to = draw();
  while (to.longitude === from.longitude && to.latitude === from.latitude) to = draw();
  return { rings, zone: polygon(...rings), from, to };
});
const zoneCases = zones.map(({ rings, from, to }, n) => ({
  n,
  shape: { type: 'Polygon', coordinates: rings },
  x: from.longitude,
  y: from.latitude,
  to_x: to.longitude,
  to_y: to.latitude,
}));
const fromCases = `
  json_to_recordset($1::text::json) as one (n int, shape json, x float8, y float8, to_x float8, to_y float8)`;

test('of 4,000 places the same are inside zones as in PostGIS, on edges and vertices too', async () => {
  const rows = await ask<{ inside: boolean }>(
    `select ST_Covers(ST_GeomFromGeoJSON(shape), ST_SetSRID(ST_MakePoint(x, y), 4326)) as inside from ${fromCases} order by n`,
    zoneCases,
  );
  const wrong = zones.filter(({ zone, from }, n) => containsPoint(zone, from) !== rows[n]?.inside);
  expect(wrong).toEqual([]);
  expect(rows.filter(({ inside }) => inside).length).toBeGreaterThan(1000);
});

test('of 4,000 movements the same share is inside zones as in PostGIS', async () => {
  const rows = await ask<{ share: number }>(
    `select ST_Length(ST_Intersection(ST_GeomFromGeoJSON(shape), movement)) / ST_Length(movement) as share
       from ${fromCases}
       cross join lateral (
         select ST_SetSRID(ST_MakeLine(ST_MakePoint(x, y), ST_MakePoint(to_x, to_y)), 4326) as movement) as moved
      order by n`,
    zoneCases,
  );
  for (const [n, { zone, from, to }] of zones.entries()) {
    expect(insideShare(zone, from, to), `movement ${n}`).toBeCloseTo(rows[n]?.share ?? Number.NaN, 6);
  }
});

function insideShare(zone: Polygon, from: GeoPoint, to: GeoPoint): number {
  let [share, enteredAt] = [0, containsPoint(zone, from) ? 0 : undefined];
  for (const { kind, fraction } of findEdgeCrossings(zone, from, to)) {
    if (kind === 'entry') enteredAt ??= fraction;
    else if (enteredAt !== undefined) [share, enteredAt] = [share + fraction - enteredAt, undefined];
  }
  return enteredAt === undefined ? share : share + 1 - enteredAt;
}

test('progress and distance from the line are those of PostGIS, within a centimetre', async () => {
  // Lines of 6 km with a bend every 100 m, and places up to 95 m beside them.
  const tracks = Array.from({ length: 20 }, () => {
    const points = [origin];
    let azimuth = random.within(-180, 180);
    while (points.length < 60) {
      azimuth += random.within(-20, 20);
      points.push(travel(points.at(-1) ?? origin, azimuth, 100));
    }
    return points;
  });
  const places = tracks.flatMap((points) =>
    Array.from({ length: 5 }, () => {
      const near = points[Math.floor(random.within(0, points.length))] ?? origin;
      return { points, place: travel(near, random.within(-180, 180), random.within(0, 95)) };
    }),
  );
  // The nearest point of a `geography` is found on the sphere, 0.3 m beside the one on the ellipsoid: hence a projection
  // with its centre at the place.
  const rows = await ask<{ along: number; distance: number }>(
    `select ST_LineLocatePoint(ST_Transform(line, plane), ST_MakePoint(0, 0)) * ST_Length(line::geography) as along,
            ST_Distance(ST_Transform(line, plane), ST_MakePoint(0, 0)) as distance
       from ${fromCases}
       cross join lateral (
         select ST_GeomFromGeoJSON(shape) as line, format('+proj=aeqd +ellps=WGS84 +lon_0=%s +lat_0=%s', x, y) as plane) as driven
      order by n`,
    places.map(({ points, place }, n) => ({
      n,
      shape: { type: 'LineString', coordinates: points.map((one) => [one.longitude, one.latitude]) },
      x: place.longitude,
      y: place.latitude,
    })),
  );
  for (const [n, { points, place }] of places.entries()) {
    const { progressM, distanceM } = advanceProgress(line(points), anywhereOnLine, place, 0);
    expect(Math.abs(distanceM - (rows[n]?.distance ?? Number.NaN)), `distance of ${n}`).toBeLessThan(0.01);
    expect(Math.abs(progressM - (rows[n]?.along ?? Number.NaN)), `progress of ${n}`).toBeLessThan(0.01);
  }
});
