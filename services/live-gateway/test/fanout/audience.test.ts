import { expect, test } from 'vitest';
import { Audience, defaultGroupSize } from '../../src/fanout/audience.ts';
import { isDue } from '../../src/fanout/rate-class.ts';
import { Subscription } from '../../src/subscriptions/subscription.ts';

const eventId = '00000000-0000-4000-8000-000000000001';
const topic = `event:${eventId}`;
const held = { fix: undefined, faultyAtMs: undefined, isHydrated: true };

function watch(viewers: number, rateClass: number, groupSize = defaultGroupSize) {
  const audience = new Audience({ eventId, topic, devices: [], hold: () => held, groupSize });
  const recipient = { reply: () => undefined, canTake: () => true, writeRows: () => 0 };
  const subscriptions = Array.from({ length: viewers }, () => {
    const wish = { eventId, topic, dialect: 'batched', recipient, rateClass, bbox: undefined } as const;
    const subscription = new Subscription(wish);
    audience.add(subscription, '1-0');
    return subscription;
  });
  const sizes = (): readonly number[] => [...audience.groups()].map(({ size }) => size);
  return { audience, subscriptions, sizes };
}

test('a small audience shares its frames, a large one is spread over the ticks of its interval', () => {
  expect(watch(defaultGroupSize, 1).sizes()).toEqual([defaultGroupSize]);
  expect(watch(5000, 1).sizes()).toEqual([2500, 2500]);
  const { audience, sizes } = watch(1100, 2);
  expect(sizes()).toEqual([500, 500, 100]);
  const flushed = [0, 1, 2, 3].map(
    (tick) =>
      [...audience.groups()].filter(({ tickPhase: offset, rateClass }) => isDue(tick, offset, rateClass))
        .length,
  );
  expect(Math.max(...flushed)).toBe(1);
});

test('whoever is flushed in every tick has no other tick to go to', () => {
  expect(watch(1100, 0).sizes()).toEqual([1100]);
});

test('places that become free are taken again, and each member is found where it is', () => {
  const { audience, subscriptions, sizes } = watch(6, 1, 3);
  for (const subscription of subscriptions.slice(0, 3)) audience.remove(subscription);
  expect(sizes()).toEqual([3]);
  const [first] = subscriptions;
  if (first === undefined) throw new Error('nobody was there');
  audience.add(first, '2-0');
  expect(sizes()).toEqual([3, 1]);
  for (const member of [first, ...subscriptions.slice(3)])
    expect([...(audience.groupOf(member)?.members() ?? [])]).toContain(member);
});
