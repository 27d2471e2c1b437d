import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  readAssignment,
  readEntry,
  readGate,
  readStage,
  readWaypoint,
  readZone,
} from '../../../src/domain/course/read-course.ts';
import { readDecision } from '../../../src/domain/course/read-decision.ts';
import { RowError } from '../../../src/domain/course/read-row.ts';
import { raceColumns } from '../../../src/domain/course/race-columns.ts';
import { readThresholds } from '../../../src/domain/course/read-thresholds.ts';

const readers = {
  stages: (row: object) => readStage({ ...row }, () => undefined),
  gates: (row: object) => readGate({ ...row }),
  waypoints: (row: object) => readWaypoint({ ...row }),
  zones: (row: object) => readZone({ ...row }),
  entries: (row: object) => readEntry({ ...row }),
  entry_devices: (row: object) => readAssignment({ ...row }),
  decisions: (row: object) => readDecision({ ...row }),
};

const square = [
  [25, 62],
  [25.1, 62],
  [25.1, 62.1],
  [25, 62],
];

/** Values that a column may have, of its own type or any other. */
const anyValue = fc.oneof(
  fc.constantFrom(null, 'speed', 'special', 'passing_added', 'status', 'dnf', 0, 1.5, -1, true, 'x'),
  fc.jsonValue(),
  fc.record({
    type: fc.constantFrom('LineString', 'Polygon', 'Feature', 'FeatureCollection'),
    coordinates: fc.oneof(fc.jsonValue(), fc.constant(square), fc.constant([square])),
    geometry: fc.jsonValue(),
    features: fc.jsonValue(),
  }),
);

describe.each(Object.entries(readers))('a row of %s', (table, read) => {
  const columns = Object.entries(raceColumns).find(([name]) => name === table)?.[1] ?? [];

  test('is read, or refused by a sentence, whatever its values are', () => {
    const anyRow = fc.record(Object.fromEntries(columns.map((column) => [column, anyValue])), {
      requiredKeys: [],
    });
    fc.assert(
      fc.property(anyRow, (row) => {
        expect(refusalOf(() => read(row))).toMatch(/^(?:[A-Z].*\.)?$/su);
      }),
    );
  });
});

/** The sentence of a refused row; empty for one that is read. */
function refusalOf(read: () => unknown): string {
  try {
    read();
    return '';
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    return error.message;
  }
}

test('thresholds are taken from any JSON value without an error', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const thresholds = readThresholds('the event A', value, () => undefined);
      expect(Object.values(thresholds).every((one) => Number.isFinite(one))).toBe(true);
    }),
  );
});
