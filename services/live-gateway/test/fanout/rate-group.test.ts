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
    recipient: { reply: () => undefined, canTake: () => true, writeRows: (frames) => frames.length },
    rateClass: 1,
    bbox: undefined,
  });
}

describe('what a rate group has covered', () => {
  test('goes on with the feed while nothing has changed', () => {
    const group = newGroup();
    group.advanceIfUnchanged('2-0');
    expect(group.coveredOffset).toBe('2-0');
    group.takeCatchingUp('3-0');
    expect(group.coveredOffset).toBe('3-0');
  });

  test('stays where it is once something has changed, until that is taken', () => {
    const group = newGroup();
    group.markChanged(7);
    group.advanceIfUnchanged('2-0');
    group.takeCatchingUp('2-0');
    expect(group.coveredOffset).toBe('1-0');
    group.takeChanges('3-0', 0);
    expect(group.coveredOffset).toBe('3-0');
  });

  test('stays where the flush has put it while that is written, also if it tells no more than news', () => {
    for (const seats of [[7], []]) {
      const group = newGroup();
      for (const seat of seats) group.markChanged(seat);
      group.takeChanges('2-0', 1);
      group.advanceIfUnchanged('3-0');
      group.takeCatchingUp('3-0');
      expect(group.coveredOffset).toBe('2-0');
      group.noteDelivered();
      group.advanceIfUnchanged('3-0');
      expect(group.coveredOffset).toBe('3-0');
    }
  });
});

test('whoever leaves a rate group is owed what has changed and what is being written', () => {
  const group = newGroup();
  const leaving = newSubscription();
  group.reclassify(leaving);
  group.markChanged(7);
  group.takeChanges('2-0', 0);
  group.markChanged(8);
  group.remove(leaving);
  expect([...(leaving.pending ?? [])]).toEqual([7, 8]);
  expect(group.size).toBe(0);
});
