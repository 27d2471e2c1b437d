import { expect, test } from 'vitest';
import { RejectionWindow } from '../../src/pipeline/rejection-window.ts';
import { entryOf } from '../support/fixes.ts';
import type { Rejected } from '../../src/fix.ts';

/** `count` rejected entries of `devices` in turn; without a number of devices their devices are not known. */
function rejected(count: number, devices?: number, reason = 'future_limit'): readonly Rejected[] {
  return Array.from({ length: count }, (_, n) => ({
    entry: entryOf(`${n}-0`, []),
    reason,
    detail: '',
    ...(devices !== undefined && { deviceId: `d${n % devices}` }),
  }));
}

test.for<[string, number, readonly Rejected[], boolean]>([
  ['a batch in which all are rejected', 1000, rejected(1000, 1000), true],
  ['more than half without the ten devices with the most', 1000, rejected(510, 510), true],
  ['half without them', 1000, rejected(505, 505), false],
  ['half', 1000, rejected(500, 500), false],
  ['one in five', 1000, rejected(200, 200), false],
  ['249 of 249', 249, rejected(249, 249), false],
  ['250 of 250', 250, rejected(250, 250), true],
  ['of ten devices', 1000, rejected(1000, 10), false],
  ['of eleven devices', 1000, rejected(1000, 11), true],
  ['of unknown devices', 300, rejected(300), true],
  ['of one device and few unknown ones', 300, [...rejected(291, 1), ...rejected(9)], false],
  ['of one device and 58 others', 859, [...rejected(801, 1), ...rejected(58)], false],
  ['of one device and 59 others', 860, [...rejected(801, 1), ...rejected(59)], true],
  ['of one device and one in five of the others', 1000, [...rejected(800, 1), ...rejected(40)], false],
  ['for different reasons', 300, [...rejected(150, 20), ...rejected(150, 20, 'not_json')], true],
  ['for an accepted reason', 300, rejected(300, 20, 'accepted'), false],
  [
    'for an accepted reason, and all others',
    700,
    [...rejected(400, 20, 'accepted'), ...rejected(300, 20)],
    true,
  ],
])('a fault of many: %s', ([, entries, batch, isFault]) => {
  expect(new RejectionWindow(['accepted']).observe(entries, batch) !== undefined).toBe(isFault);
});

test('small batches are taken together, and the fault is described by its reasons', () => {
  const window = new RejectionWindow([]);
  for (let n = 0; n < 62; n += 1)
    expect(window.observe(4, rejected(4, 4, n % 2 ? 'a' : 'b'))).toBeUndefined();
  // Of four devices: broken trackers.
  expect(window.observe(4, rejected(4, 4))).toBeUndefined();
  expect(window.observe(70, rejected(70, 70, 'not_json'))).toEqual({
    entries: 322,
    rejected: 322,
    reasons: { b: 124, a: 124, future_limit: 4, not_json: 70 },
  });
});

test('only the last thousand entries count', () => {
  const window = new RejectionWindow([]);
  expect(window.observe(600, rejected(300, 100))).toBeUndefined();
  expect(window.observe(500, [])).toBeUndefined();
  // The first batch is needed for a thousand entries no longer.
  expect(window.observe(500, rejected(450, 100))).toBeUndefined();
  expect(window.observe(200, rejected(200, 100))).toMatchObject({ entries: 1200, rejected: 650 });
});
