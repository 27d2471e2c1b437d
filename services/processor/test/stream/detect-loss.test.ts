import { expect, test } from 'vitest';
import { countBehind, detectLoss, type StreamStanding } from '../../src/stream/detect-loss.ts';

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
  expect(detectLoss(standing({}))).toBeUndefined();
  expect(detectLoss(standing({ firstId: '4-0', length: 7 }))).toBeUndefined();
  expect(detectLoss(standing({ firstId: '5-0', length: 6 }))).toBeUndefined();
});

test('entries trimmed unread are counted, with the range they lay in', () => {
  expect(detectLoss(standing({ firstId: '8-0', length: 3 }))).toEqual({
    entries: 3,
    isExact: true,
    afterId: '4-0',
    beforeId: '8-0',
  });
});

test('a stream trimmed to nothing has lost all that was not delivered', () => {
  expect(detectLoss(standing({ firstId: undefined, length: 0 }))).toMatchObject({
    entries: 6,
    beforeId: '10-0',
  });
  const allRead = { lastDeliveredId: '10-0', entriesRead: 10, firstId: undefined, length: 0 };
  expect(detectLoss(standing(allRead))).toBeUndefined();
});

test('where Redis has lost count it is at least one, and said to be no more than that', () => {
  expect(detectLoss(standing({ entriesRead: null, firstId: '8-0', length: 3 }))).toMatchObject({
    entries: 1,
    isExact: false,
  });
});

test('a group that never read has lost all that is gone', () => {
  const unread = { lastDeliveredId: '0-0', entriesRead: null };
  expect(detectLoss(standing({ ...unread, firstId: '8-0', length: 3 }))).toMatchObject({
    entries: 7,
    isExact: true,
  });
  expect(detectLoss(standing(unread))).toBeUndefined();
});

test('the counter is behind if all is read and it does not say so', () => {
  expect(countBehind(standing({ lastDeliveredId: '10-0', entriesRead: 7 }))).toBe(3);
  expect(countBehind(standing({ lastDeliveredId: '10-0', entriesRead: 10 }))).toBe(0);
  expect(countBehind(standing({ lastDeliveredId: '10-0', entriesRead: null }))).toBe(0);
  expect(countBehind(standing({ entriesRead: 1 }))).toBe(0);
});

test('an empty stream that never had an entry has lost nothing', () => {
  const never = { firstId: undefined, lastGeneratedId: '0-0', length: 0, entriesAdded: 0 };
  expect(detectLoss(standing({ ...never, lastDeliveredId: '0-0', entriesRead: null }))).toBeUndefined();
});
