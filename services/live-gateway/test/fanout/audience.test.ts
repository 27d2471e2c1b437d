import { expect, test } from 'vitest';
import { Audience, defaultGroupSize } from '../../src/fanout/audience.ts';
import { isDue } from '../../src/fanout/rate-class.ts';
import { Subscription } from '../../src/subscriptions/subscription.ts';

const eventId = '00000000-0000-4000-8000-000000000001';
const topic = `event:${eventId}`;
const held = { fix: undefined, faultyFixAtMs: undefined, isHydrated: true };

function createAudience(subscribers: number, rateClass: number, groupSize = defaultGroupSize) {
  const audience = new Audience({ eventId, topic, devices: [], hold: () => held, groupSize });
  const recipient = {
    reply: () => undefined,
    isWritable: () => true,
    writeFrames: () => 0,
    fail: () => undefined,
  };
  const options = { eventId, topic, dialect: 'batched', recipient, rateClass, bbox: undefined } as const;
  const subscriptions = Array.from({ length: subscribers }, () => {
    const subscription = new Subscription(options);
    audience.add(subscription, '1-0');
    return subscription;
  });
  const sizes = (): readonly number[] => [...audience.groups()].map(({ size }) => size);
  return { audience, subscriptions, sizes };
}

test('a small audience is one group, a large one is spread over the ticks of its interval', () => {
  expect(createAudience(defaultGroupSize, 1).sizes()).toEqual([defaultGroupSize]);
  expect(createAudience(5000, 1).sizes()).toEqual([2500, 2500]);
  const { audience, sizes } = createAudience(1100, 2);
  expect(sizes()).toEqual([500, 500, 100]);
  const groupsPerTick = [0, 1, 2, 3].map(
    (tick) =>
      [...audience.groups()].filter(({ tickPhase, rateClass }) => isDue(tick, tickPhase, rateClass)).length,
  );
  expect(Math.max(...groupsPerTick)).toBe(1);
});

test('an audience of the fastest rate class is one group, because it is flushed in every tick', () => {
  expect(createAudience(1100, 0).sizes()).toEqual([1100]);
});

test('a group with free capacity is filled again, and each subscription is found in its group', () => {
  const { audience, subscriptions, sizes } = createAudience(6, 1, 3);
  for (const subscription of subscriptions.slice(0, 3)) audience.remove(subscription);
  expect(sizes()).toEqual([3]);
  const [first] = subscriptions;
  if (first === undefined) throw new Error('no subscription');
  audience.add(first, '2-0');
  expect(sizes()).toEqual([3, 1]);
  for (const subscription of [first, ...subscriptions.slice(3)])
    expect([...(audience.groupOf(subscription)?.members() ?? [])]).toContain(subscription);
});
