import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GeometryError } from '../src/geometry-error.ts';
import { preparePolygon } from '../src/polygon.ts';
import { arbitraryStar, hole, outer, ring } from './support/polygons.ts';

describe('refuses', () => {
  test.each([
    ['no ring', [], 'The polygon has no ring.'],
    [
      'a ring that was not simplified',
      [[...Array.from({ length: 5000 }, (_, n) => [11 + n / 1e6, 48] as const), [11, 49], [11, 48]]],
      "A polygon's ring can have at most 5000 points; the outer ring has 5001. Simplify it.",
    ],
    ['an empty ring', [[]], "A polygon's ring needs at least 3 different points; the outer ring has 0."],
    [
      'two points',
      [ring('11 48, 11.01 48, 11 48')],
      "A polygon's ring needs at least 3 different points; the outer ring has 2.",
    ],
    [
      'one point three times',
      [ring('11 48, 11 48, 11 48')],
      "A polygon's ring needs at least 3 different points; the outer ring has 1.",
    ],
    [
      'a line',
      [ring('11 48, 11.1 48.1, 11.2 48.2, 11.3 48.3')],
      'A polygon needs an area; all points of the outer ring are on one line.',
    ],
    [
      'a bow tie',
      [ring('11 48, 11.01 48.01, 11.01 48, 11 48.01')],
      "A polygon's rings must not touch or cross: the outer ring between its points 1 and 2 meets itself between its points 3 and 4.",
    ],
    ['a spike', [ring('11 48, 11.01 48, 11.005 48, 11 48.01')], /meets itself between/],
    ['a spike outwards', [ring('11 48, 11.01 48, 11.02 48, 11.01 48, 11 48.01')], /meets itself between/],
    ['a spike beyond its start', [ring('11 48, 11.01 48, 10.99 48, 11 48.01')], /meets itself between/],
    [
      'a ring that touches itself in a vertex',
      [ring('11 48, 11.02 48, 11.01 48.01, 11.02 48.02, 11 48.02, 11.01 48.01')],
      /meets itself between/,
    ],
    [
      'a hole that crosses the outer ring',
      [outer, ring('11.005 48.005, 11.02 48.005, 11.005 48.006')],
      /the outer ring between its points 2 and 3 meets hole 1|hole 1 between its points \d and \d meets the outer ring/,
    ],
    ['a hole outside', [outer, ring('12 48, 12.01 48, 12 48.01')], 'Hole 1 is outside the outer ring.'],
    [
      'a hole in a hole',
      [outer, hole, ring('11.0045 48.0045, 11.0055 48.0045, 11.005 48.0055')],
      'Hole 2 is inside hole 1.',
    ],
    [
      'a swapped coordinate',
      [ring('11 48, 11.01 148, 11 48.01')],
      'Point 2 of the outer ring has the latitude 148; it must be within -90 and 90 degrees.',
    ],
    [
      'a coordinate too few',
      [ring('11 48, 11.01, 11 48.01')],
      'Point 2 of the outer ring has the latitude NaN; it must be within -90 and 90 degrees.',
    ],
    [
      'a pole',
      [ring('0 89.5, 120 89.5, -120 89.5')],
      'Point 1 of the outer ring has the latitude 89.5; shapes can reach to 89 degrees.',
    ],
  ])('%s', (_, rings, message) => {
    const error = preparePolygon(rings);
    expect(error instanceof GeometryError ? error.message : 'accepted').toMatch(message);
  });

  test('no star, whatever its points and direction', () => {
    fc.assert(
      fc.property(arbitraryStar, (corners) => {
        expect(preparePolygon([corners])).not.toBeInstanceOf(GeometryError);
        expect(preparePolygon([[...corners.toReversed(), corners.at(-1) ?? []]])).not.toBeInstanceOf(
          GeometryError,
        );
      }),
    );
  });

  test('any star of which two points are swapped so that edges cross', () => {
    const regular = [0, 1, 2, 3, 4, 5].map((corner) => [
      11 + 0.01 * Math.cos((corner * Math.PI) / 3),
      48 + 0.01 * Math.sin((corner * Math.PI) / 3),
    ]);
    for (let corner = 0; corner < 5; corner++) {
      const swapped = regular.with(corner, regular[corner + 1] ?? []).with(corner + 1, regular[corner] ?? []);
      expect(preparePolygon([swapped])).toBeInstanceOf(GeometryError);
    }
  });
});
