import { expect, test } from 'vitest';
import { countPhantoms, detectLoss, type StreamStanding } from './detect-loss.ts';

/** Ten entries 1-0 to 10-0 were added; the group has read up to 4-0. */
function standing(changes: Partial<StreamStanding>): StreamStanding {
  return {
    firstId: '1-0',
    lastGeneratedId: '10-0',
    length: 10,
    entriesAdded: 10,
    lastDeliveredId: '4-0',
    entriesRead: 4,
    ...changes,
  };
}

test('nothing is lost while the stream begins at or before what was delivered last', () => {
  expect(detectLoss(standing({}), 0)).toBeUndefined();
  expect(detectLoss(standing({ firstId: '4-0', length: 7 }), 0)).toBeUndefined();
  expect(detectLoss(standing({ firstId: '5-0', length: 6 }), 0)).toBeUndefined();
});

test('entries trimmed unread are counted, with the range they lay in', () => {
  expect(detectLoss(standing({ firstId: '8-0', length: 3 }), 0)).toEqual({
    entries: 3,
    isExact: true,
    afterId: '4-0',
    beforeId: '8-0',
  });
});

test('a stream trimmed to nothing has lost all that was not delivered', () => {
  expect(detectLoss(standing({ firstId: undefined, length: 0 }), 0)).toMatchObject({
    entries: 6,
    beforeId: '10-0',
  });
  const allRead = { lastDeliveredId: '10-0', entriesRead: 10, firstId: undefined, length: 0 };
  expect(detectLoss(standing(allRead), 0)).toBeUndefined();
});

test('what was counted before is not counted again where Redis leaves it out for ever', () => {
  const second = { entriesAdded: 20, lastGeneratedId: '20-0', lastDeliveredId: '10-0', entriesRead: 7 };
  expect(detectLoss(standing({ ...second, firstId: '14-0', length: 7 }), 3)).toMatchObject({ entries: 3 });
  expect(detectLoss(standing({ ...second, firstId: '11-0', length: 10 }), 3)).toBeUndefined();
});

test('where Redis has lost count it is at least one, and said to be no more than that', () => {
  expect(detectLoss(standing({ entriesRead: null, firstId: '8-0', length: 3 }), 0)).toMatchObject({
    entries: 1,
    isExact: false,
  });
});

test('a group that never read has lost all that is gone', () => {
  const unread = { lastDeliveredId: '0-0', entriesRead: null };
  expect(detectLoss(standing({ ...unread, firstId: '8-0', length: 3 }), 0)).toMatchObject({
    entries: 7,
    isExact: true,
  });
  expect(detectLoss(standing(unread), 0)).toBeUndefined();
});

test('an empty stream that never had an entry has lost nothing', () => {
  const never = { firstId: undefined, lastGeneratedId: '0-0', length: 0, entriesAdded: 0 };
  expect(detectLoss(standing({ ...never, lastDeliveredId: '0-0', entriesRead: null }), 0)).toBeUndefined();
});

test('what Redis leaves out of its counter is known from the counter itself once all is delivered', () => {
  const nothing = { entries: 0, lost: 0 };
  const end = standing({ lastDeliveredId: '10-0', entriesRead: 7 });
  expect(countPhantoms(0, end, nothing, end)).toBe(3);
  const whole = standing({ lastDeliveredId: '10-0', entriesRead: 10 });
  expect(countPhantoms(5, whole, nothing, whole)).toBe(0);
});

test('until then a loss is remembered where the counter passed over it', () => {
  const read = { entries: 2, lost: 3 };
  const old = standing({ lastDeliveredId: '9-0', entriesRead: 6 });
  expect(countPhantoms(1, standing({}), read, old)).toBe(4);
  const corrected = standing({ lastDeliveredId: '9-0', entriesRead: 9 });
  expect(countPhantoms(0, standing({}), read, corrected)).toBe(0);
  const unsure = standing({ lastDeliveredId: '9-0', entriesRead: null });
  expect(countPhantoms(1, standing({}), read, unsure)).toBe(1);
  expect(countPhantoms(1, unsure, read, old)).toBe(1);
});
