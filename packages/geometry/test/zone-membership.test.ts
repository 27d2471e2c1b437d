import { expect, test } from 'vitest';
import { GeometryError } from '../src/geometry-error.ts';
import { preparePolygon } from '../src/polygon.ts';
import { nextMembership, type Membership } from '../src/zone-membership.ts';
import { travel } from './support/arbitrary-geo.ts';

const zone = preparePolygon([
  [
    [11, 48],
    [11.01, 48],
    [11.01, 48.01],
    [11, 48.01],
  ],
]);
const edge = { longitude: 11.01, latitude: 48.005 };

/** The memberships of fixes so many metres east of the eastern edge; inside are negative ones. */
function memberships(marginM: number, ...eastM: number[]): Membership[] {
  if (zone instanceof GeometryError) throw new Error(zone.message);
  const seen: Membership[] = [];
  for (const metres of eastM) {
    seen.push(nextMembership(zone, marginM, seen.at(-1) ?? 'outside', travel(edge, 90, metres)));
  }
  return seen;
}

test('inside once within, outside only more than the margin outside', () => {
  expect(memberships(10, 50, 5, 0.01, -0.01, 5, 9.99, 10.01, 9.99, 5, -1)).toEqual([
    'outside',
    'outside',
    'outside',
    'inside',
    'leaving',
    'leaving',
    'outside',
    'outside',
    'outside',
    'inside',
  ]);
});

test('coming back while leaving is no exit', () => {
  expect(memberships(10, -5, 5, -5, 5, 20)).toEqual(['inside', 'leaving', 'inside', 'leaving', 'outside']);
});

test('without a margin the edge decides', () => {
  expect(memberships(0, -0.01, 0.01, -0.01, 0.01)).toEqual(['inside', 'outside', 'inside', 'outside']);
});
