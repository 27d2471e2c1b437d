import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeviceSet } from '../../src/fanout/device-set.ts';

const indexes = fc.array(fc.nat(200), { maxLength: 60, size: 'max' });

function setOf(members: readonly number[]): DeviceSet {
  const set = new DeviceSet();
  for (const index of members) set.add(index);
  return set;
}

function sorted(members: Iterable<number>): readonly number[] {
  return [...new Set(members)].toSorted((a, b) => a - b);
}

test('contains the indexes that were added and not deleted', () => {
  fc.assert(
    fc.property(indexes, indexes, (added, deleted) => {
      const set = new DeviceSet();
      const model = new Set<number>();
      for (const index of added) {
        expect(set.add(index)).toBe(!model.has(index));
        model.add(index);
      }
      for (const index of deleted) expect(set.delete(index)).toBe(model.delete(index));
      expect([...set]).toEqual(sorted(model));
      expect(set.size).toBe(model.size);
      for (const index of [...added, ...deleted]) expect(set.has(index)).toBe(model.has(index));
    }),
  );
});

test('adds another set and returns how many of its members it already had', () => {
  fc.assert(
    fc.property(indexes, indexes, (one, other) => {
      const set = setOf(one);
      const common = sorted(other).filter((index) => one.includes(index)).length;
      expect(set.addAll(setOf(other))).toBe(common);
      expect([...set]).toEqual(sorted([...one, ...other]));
      expect(set.size).toBe(new Set([...one, ...other]).size);
    }),
  );
});

test('a copy has the same members and changes independently', () => {
  const set = setOf([1, 40]);
  const copy = DeviceSet.from(set);
  copy.delete(40);
  expect([...copy]).toEqual([1]);
  expect([...set]).toEqual([1, 40]);
});

test('finds the next member at or after any index', () => {
  fc.assert(
    fc.property(indexes, fc.nat(260), (members, from) => {
      expect(setOf(members).next(from)).toBe(sorted(members).find((index) => index >= from) ?? -1);
    }),
  );
});
