import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { sortByKey } from '../../src/store/duplicate-keys.ts';

const positions = fc.array(
  fc.record({
    deviceId: fc.constantFrom('1', '10', '2', 'A', 'a', '_'),
    fixAtMs: fc.integer({ min: 1000, max: 1010 }),
  }),
  { maxLength: 80 },
);

test('sorting by key yields each key once and keeps every fix', () => {
  fc.assert(
    fc.property(positions, (read) => {
      const fixes = read.map((position, n) => fix(position, `${n}-0`));
      const { unique, duplicates } = sortByKey(fixes);
      const keys = unique.map(({ position }) => `${position.deviceId} ${position.fixAtMs}`);
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys).toEqual(keys.toSorted((a, b) => (a < b ? -1 : 1)));
      expect(new Set([...unique, ...duplicates.map((each) => each.fix)])).toEqual(new Set(fixes));
      expect(unique.length + duplicates.length).toBe(fixes.length);
    }),
  );
});

test('the first fix read with a key represents it', () => {
  fc.assert(
    fc.property(positions, (read) => {
      const fixes = read.map((position, n) => fix(position, `${n}-0`));
      const { unique, duplicates } = sortByKey(fixes);
      for (const { fix: later, first } of duplicates) {
        expect(unique).toContain(first);
        expect(first.position).toMatchObject({
          deviceId: later.position.deviceId,
          fixAtMs: later.position.fixAtMs,
        });
        expect(Number.parseInt(first.entry.id, 10)).toBeLessThan(Number.parseInt(later.entry.id, 10));
      }
    }),
  );
});
