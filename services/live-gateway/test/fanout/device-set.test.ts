import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeviceSet } from '../../src/fanout/device-set.ts';

const seats = fc.array(fc.nat(200), { maxLength: 60, size: 'max' });

function setOf(members: readonly number[]): DeviceSet {
  const set = new DeviceSet();
  for (const seat of members) set.add(seat);
  return set;
}

function inOrder(members: Iterable<number>): readonly number[] {
  return [...new Set(members)].toSorted((a, b) => a - b);
}

test('holds what was added and not deleted, and knows how many those are', () => {
  fc.assert(
    fc.property(seats, seats, (added, deleted) => {
      const set = new DeviceSet();
      const model = new Set<number>();
      for (const seat of added) {
        expect(set.add(seat)).toBe(!model.has(seat));
        model.add(seat);
      }
      for (const seat of deleted) expect(set.delete(seat)).toBe(model.delete(seat));
      expect([...set]).toEqual(inOrder(model));
      expect(set.size).toBe(model.size);
      for (const seat of [...added, ...deleted]) expect(set.has(seat)).toBe(model.has(seat));
    }),
  );
});

test('takes in another set, and says how many it had of it', () => {
  fc.assert(
    fc.property(seats, seats, (one, other) => {
      const set = setOf(one);
      const had = inOrder(other).filter((seat) => one.includes(seat)).length;
      expect(set.addAll(setOf(other))).toBe(had);
      expect([...set]).toEqual(inOrder([...one, ...other]));
      expect(set.size).toBe(new Set([...one, ...other]).size);
    }),
  );
});

test('finds the next member from any seat on', () => {
  fc.assert(
    fc.property(seats, fc.nat(260), (members, from) => {
      expect(setOf(members).next(from)).toBe(inOrder(members).find((seat) => seat >= from) ?? -1);
    }),
  );
});
