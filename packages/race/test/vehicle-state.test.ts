import { expect, test } from 'vitest';
import { defaultThresholds } from '../src/thresholds.ts';
import { vehicleState, type VehicleKnown, type VehicleState } from '../src/vehicle-state.ts';

const nowMs = 10_000_000;
const known: VehicleKnown = {
  newestAtMs: nowMs,
  newestGoodAtMs: nowMs,
  standingSinceMs: undefined,
  hasOpenSos: false,
};

const cases: readonly (readonly [string, Partial<VehicleKnown>, VehicleState])[] = [
  ['a new fix', {}, 'moving'],
  ['a fix ahead of the server', { newestAtMs: nowMs + 60_000, newestGoodAtMs: nowMs + 60_000 }, 'moving'],
  ['standing for 1 ms less than the threshold', { standingSinceMs: nowMs - 59_999 }, 'moving'],
  ['standing for as long as the threshold', { standingSinceMs: nowMs - 60_000 }, 'standing'],
  ['no good fix for as long as the threshold', { newestGoodAtMs: nowMs - 30_000 }, 'moving'],
  ['no good fix for longer', { newestGoodAtMs: nowMs - 30_001 }, 'no_fix'],
  ['never a good fix', { newestGoodAtMs: undefined }, 'no_fix'],
  ['no good fix, and standing before', { newestGoodAtMs: nowMs - 30_001, standingSinceMs: 0 }, 'no_fix'],
  [
    'nothing for as long as the threshold',
    { newestAtMs: nowMs - 30_000, newestGoodAtMs: nowMs - 30_000 },
    'moving',
  ],
  ['nothing for longer', { newestAtMs: nowMs - 30_001, newestGoodAtMs: nowMs - 30_001 }, 'silent'],
  ['nothing for ten minutes', { newestAtMs: nowMs - 600_000 }, 'silent'],
  ['nothing for longer than that', { newestAtMs: nowMs - 600_001 }, 'lost'],
  ['never anything', { newestAtMs: undefined, newestGoodAtMs: undefined }, 'lost'],
  ['SOS, and nothing since', { newestAtMs: nowMs - 700_000, hasOpenSos: true }, 'sos'],
];

test.for(cases)('%s: %o', ([, given, state]) => {
  expect(vehicleState({ ...known, ...given }, defaultThresholds, nowMs)).toBe(state);
});
