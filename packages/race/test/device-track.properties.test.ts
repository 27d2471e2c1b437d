import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkCourse } from '../src/check-course.ts';
import {
  addFix,
  addStored,
  foldRecent,
  observed,
  startTrack,
  type DeviceTrack,
} from '../src/device-track.ts';
import type { Fix } from '../src/fix.ts';
import { observeFix, observeFixes, openObservations, startDevice } from '../src/observe.ts';
import { arbitraryArrivals, arbitraryDrive, smallRace } from './support/arbitrary-drive.ts';
import { makeFix } from './support/race.ts';

const { prepared } = checkCourse(smallRace);

type AddFix = typeof addFix;

/** Whatever the order in which fixes arrive, what is observed in the end is what is observed from scratch. */
function expectSameAsFromScratch(arrivals: readonly Fix[], add: AddFix, windowMs: number): void {
  expect(observed(prepared, receive(arrivals, add, windowMs))).toEqual(observeFixes(prepared, arrivals));
}

/** As an evaluator does: what is too late is observed again from what is stored. */
function receive(arrivals: readonly Fix[], add: AddFix, windowMs: number): DeviceTrack {
  const stored = new Map<number, Fix>();
  let track = startTrack(prepared);
  for (const fix of arrivals) {
    stored.set(fix.fixAtMs, fix);
    if (add(prepared, track, fix, windowMs) !== 'too_late') continue;
    track = startTrack(prepared);
    for (const one of [...stored.values()].toSorted((a, b) => a.fixAtMs - b.fixAtMs)) {
      addStored(prepared, track, one, windowMs);
    }
    foldRecent(prepared, track);
  }
  return track;
}

test.for([0, 5000, 60_000, 1e9])(
  'in any order, repeated: the same as from scratch, with a window of %i ms',
  (windowMs) => {
    fc.assert(
      fc.property(arbitraryArrivals, (arrivals) => expectSameAsFromScratch(arrivals, addFix, windowMs)),
      { numRuns: 150 },
    );
  },
);

test('a fold that goes on from a copy of its state at any fix ends as one from scratch', () => {
  fc.assert(
    fc.property(arbitraryDrive, fc.nat(), (drive, at) => {
      const before = drive.slice(0, at % drive.length);
      const observations: unknown[] = [];
      const state = startDevice(prepared);
      for (const fix of before) observeFix(prepared, state, fix, (one) => observations.push(one));
      const copy = structuredClone(state);
      for (const fix of drive.slice(before.length)) {
        observeFix(prepared, copy, fix, (one) => observations.push(one));
      }
      expect({
        observations: [...observations, ...openObservations(prepared, copy).observations],
        failures: copy.failures,
      }).toEqual(observeFixes(prepared, drive));
    }),
    { numRuns: 150 },
  );
});

test('random drives meet every kind of observation', () => {
  const kinds = new Set(
    fc
      .sample(arbitraryDrive, 200)
      .flatMap((drive) => observeFixes(prepared, drive).observations.map(({ kind }) => kind)),
  );
  expect([...kinds].toSorted()).toEqual(['gate', 'progress', 'sos', 'standing', 'waypoint', 'zone']);
});

const ignoreLate: AddFix = (course, track, fix, windowMs) =>
  fix.fixAtMs < track.current.lastFixAtMs ? 'unchanged' : addFix(course, track, fix, windowMs);

/** Folds a late fix onto the newest state instead of the checkpoint. */
const foldOntoNewest: AddFix = (course, track, fix, windowMs) => {
  const { checkpoint, current } = track;
  const isLate = fix.fixAtMs < current.lastFixAtMs && fix.fixAtMs > checkpoint.lastFixAtMs;
  if (isLate) {
    track.checkpoint = Object.assign(structuredClone(current), { lastFixAtMs: checkpoint.lastFixAtMs });
  }
  return addFix(course, track, fix, windowMs);
};

/** Drops fixes that the checkpoint does not include yet. */
const staleCheckpoint: AddFix = (course, track, fix, windowMs) => {
  const checkpoint = structuredClone(track.checkpoint);
  const result = addFix(course, track, fix, windowMs);
  track.checkpoint = checkpoint;
  return result;
};

test('what is kept is bounded, also after a panic record with a clock that is ahead', () => {
  const track = startTrack(prepared);
  addFix(prepared, track, makeFix(80_000, [0, 0], 0, { priority: 2, quality: 4 }), 5000);
  addFix(prepared, track, makeFix(90_000, [0, 0], 0, { quality: 4 }), 5000);
  for (let at = 0; at < 500; at += 1) addFix(prepared, track, makeFix(at, [at, 0], 36), 5000);
  expect(track.recent.length).toBeLessThanOrEqual(12);
  expect(observed(prepared, track).observations.map(({ kind }) => kind)).toContain('sos');
});

test.for([
  ['a late fix that is ignored', ignoreLate],
  ['a late fix that is folded onto the newest state', foldOntoNewest],
  ['a stale checkpoint', staleCheckpoint],
] as const)('the check detects %s', ([, planted]) => {
  const property = fc.property(arbitraryArrivals, (arrivals) =>
    expectSameAsFromScratch(arrivals, planted, 5000),
  );
  expect(fc.check(property, { numRuns: 1000, endOnFailure: true }).failed).toBe(true);
});
