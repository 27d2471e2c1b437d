import { describe, expect, test } from 'vitest';
import { RateGroup } from '../../src/fanout/rate-group.ts';
import { Subscription } from '../../src/subscriptions/subscription.ts';

function newGroup(): RateGroup {
  return new RateGroup({ dialect: 'batched', rateClass: 1, tickPhase: 0 }, 0, '1-0');
}

function newSubscription(): Subscription {
  return new Subscription({
    eventId: 'e',
    topic: 'event:e',
    dialect: 'batched',
    recipient: {
      reply: () => undefined,
      isWritable: () => true,
      writeFrames: (frames) => frames.length,
      fail: () => undefined,
    },
    rateClass: 1,
    bbox: undefined,
  });
}

describe('the covered offset of a rate group', () => {
  test('advances with the stream while nothing has changed', () => {
    const group = newGroup();
    group.advanceIfUnchanged('2-0');
    expect(group.coveredOffset).toBe('2-0');
    group.flushForCatchingUp('3-0');
    expect(group.coveredOffset).toBe('3-0');
  });

  test('stays from a change until the next flush', () => {
    const group = newGroup();
    group.markChanged(7);
    group.advanceIfUnchanged('2-0');
    group.flushForCatchingUp('2-0');
    expect(group.coveredOffset).toBe('1-0');
    group.takeChanges('3-0', 0);
    expect(group.coveredOffset).toBe('3-0');
  });

  test('stays while a flush is being written, also one without rows', () => {
    for (const indexes of [[7], []]) {
      const group = newGroup();
      for (const index of indexes) group.markChanged(index);
      group.takeChanges('2-0', 1);
      group.advanceIfUnchanged('3-0');
      group.flushForCatchingUp('3-0');
      expect(group.coveredOffset).toBe('2-0');
      group.noteDelivered();
      group.advanceIfUnchanged('3-0');
      expect(group.coveredOffset).toBe('3-0');
    }
  });
});

test('a subscription that leaves its group has the changed devices and those being written as unsent', () => {
  const group = newGroup();
  const leaving = newSubscription();
  group.updateMembership(leaving);
  group.markChanged(7);
  group.takeChanges('2-0', 0);
  group.markChanged(8);
  group.remove(leaving);
  expect([...(leaving.unsent ?? [])]).toEqual([7, 8]);
  expect(group.size).toBe(0);
});

test('a subscription that has ended is not added to its group again', () => {
  const group = newGroup();
  const ended = newSubscription();
  ended.end();
  group.updateMembership(ended);
  expect(group.size).toBe(0);
});
