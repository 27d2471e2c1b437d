import { expect, test } from 'vitest';
import { defaultThresholds } from '../src/thresholds.ts';
import { vehicleState, type TrackerKnown, type VehicleState } from '../src/vehicle-state.ts';

const nowMs = 10_000_000;
const good: TrackerKnown = { recordAtMs: nowMs, goodAtMs: nowMs, isStanding: false };
const lost: TrackerKnown = { recordAtMs: undefined, goodAtMs: undefined, isStanding: false };
const heard = (agoMs: number): TrackerKnown => ({
  ...good,
  recordAtMs: nowMs - agoMs,
  goodAtMs: nowMs - agoMs,
});

const cases: readonly (readonly [string, readonly TrackerKnown[], VehicleState])[] = [
  ['a new fix', [good], 'moving'],
  ['a new fix of a stop', [{ ...good, isStanding: true }], 'standing'],
  ['no good fix for as long as the threshold', [{ ...good, goodAtMs: nowMs - 30_000 }], 'moving'],
  ['no good fix for longer', [{ ...good, goodAtMs: nowMs - 30_001 }], 'no_fix'],
  ['never a good fix', [{ ...good, goodAtMs: undefined }], 'no_fix'],
  ['no good fix, and a stop before', [{ ...good, goodAtMs: 0, isStanding: true }], 'no_fix'],
  ['nothing for as long as the threshold', [heard(30_000)], 'moving'],
  ['nothing for longer', [heard(30_001)], 'silent'],
  ['nothing for ten minutes', [heard(600_000)], 'silent'],
  ['nothing for longer than that', [heard(600_001)], 'lost'],
  ['never anything', [lost], 'lost'],
  ['no tracker', [], 'lost'],
  ['two trackers, one of them lost', [lost, good], 'moving'],
  ['two trackers, one silent and one without a fix', [heard(30_001), { ...good, goodAtMs: 0 }], 'no_fix'],
  ['two trackers, and only one shows a stop', [{ ...good, isStanding: true }, good], 'moving'],
];

test.for(cases)('%s: %o', ([, trackers, state]) => {
  expect(vehicleState(trackers, false, defaultThresholds, nowMs)).toBe(state);
  expect(vehicleState(trackers, true, defaultThresholds, nowMs)).toBe('sos');
});
