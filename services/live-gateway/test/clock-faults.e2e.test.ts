import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { shiftDate, shiftPostgresClock } from '@app/test-kit/shift-clocks';
import { expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import type { Fixture } from './support/open-fixture.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import { connectBatched, shownFixTimes } from './support/viewer.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A gateway whose clock is ahead of the real one, which Redis has, by so much. */
async function startShifted(fixture: Fixture, shiftMs: number, postgresUrl = fixture.postgresUrl) {
  const env = { SHIFT_DATE_MS: String(shiftMs) };
  const gateway = await fixture.start({ preload: shiftDate, env, postgresUrl });
  await gateway.ready();
  return gateway;
}

async function watch(fixture: Fixture, { wsUrl }: RunningGateway, eventId: string) {
  const viewer = await connectBatched(wsUrl, { session: fixture.addViewer(eventId).session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20 });
  await viewer.next('subscribed');
  return viewer;
}

function about(seconds: number): unknown {
  return expect.toSatisfy((value: number) => Math.abs(value - seconds) < 60, `about ${seconds}`);
}

test('Redis three days behind: good fixes are shown live, and only fixes ahead of the time are hidden', async () => {
  const shiftMs = 3 * dayMs;
  await using fixture = await openFixture();
  await shiftPostgresClock(fixture.sql, shiftMs);
  const { eventId, devices } = await fixture.addEvent(3);
  const gateway = await startShifted(fixture, shiftMs);
  using viewer = await watch(fixture, gateway, eventId);
  const [good, ahead, late] = [deviceAt(devices, 0), deviceAt(devices, 1), deviceAt(devices, 2)];
  const nowMs = Date.now() + shiftMs;
  await fixture.publish(fixOf(ahead, { fixAtMs: nowMs + hourMs }));
  await fixture.publish(fixOf(late, { fixAtMs: nowMs - hourMs }));
  await fixture.publish(fixOf(good, { fixAtMs: nowMs }));
  await eventually(() => shownFixTimes(viewer).size === 2);
  expect(new Set(shownFixTimes(viewer).values())).toEqual(new Set([nowMs - hourMs, nowMs]));
  expect(await gateway.metric('live_stream_entries_total', { result: 'flagged' })).toBe(1);
  // No figure has the three days in it.
  expect(await gateway.metric('live_clock_skew_seconds', { clock: 'redis' })).toEqual(about(-shiftMs / 1000));
  expect(await gateway.metric('live_delivery_latency_seconds_count')).toBe(2);
  expect(await gateway.metric('live_delivery_latency_seconds_sum')).toEqual(about(0));
  expect(await gateway.metric('live_seconds_since_last_record')).toEqual(about(0));
  expect(gateway.log).toContainEqual(expect.objectContaining({ msg: 'a clock is wrong', clock: 'redis' }));
});

test('the correction holds while Postgres does not answer, and entries do not wait for it', async () => {
  const shiftMs = 3 * dayMs;
  await using fixture = await openFixture();
  await using network = await startFaultyNetwork({ target: fixture.postgresUrl });
  await shiftPostgresClock(fixture.sql, shiftMs);
  const { eventId, devices } = await fixture.addEvent(1);
  const gateway = await startShifted(fixture, shiftMs, network.through(fixture.postgresUrl));
  using viewer = await watch(fixture, gateway, eventId);
  network.swallow();
  await eventually(
    async () => Number.isNaN(await gateway.metric('live_clock_skew_seconds', { clock: 'postgres' })),
    { timeoutMs: 30_000 },
  );
  const fixAtMs = Date.now() + shiftMs;
  await fixture.publish(fixOf(deviceAt(devices), { fixAtMs }));
  await eventually(() => shownFixTimes(viewer).size === 1);
  expect(await gateway.metric('live_clock_skew_seconds', { clock: 'redis' })).toEqual(about(-shiftMs / 1000));
});

test('ids days ahead: good fixes are shown live, and have no age', async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(2);
  const gateway = await startShifted(fixture, 0);
  using viewer = await watch(fixture, gateway, eventId);
  const [good, ahead] = [deviceAt(devices, 0), deviceAt(devices, 1)];
  const nowMs = Date.now();
  for (const [sequence, fix] of [
    fixOf(ahead, { fixAtMs: nowMs + hourMs }),
    fixOf(good, { fixAtMs: nowMs }),
  ].entries())
    await fixture.redis.xadd(
      fixture.stream,
      `${nowMs + 3 * dayMs}-${sequence}`,
      ...encodeFields({ position: fix, codec: '8E' }),
    );
  await eventually(() => shownFixTimes(viewer).size === 1);
  expect([...shownFixTimes(viewer).values()]).toEqual([nowMs]);
  expect(await gateway.metric('live_delivery_latency_seconds_count')).toBe(0);
  expect(await gateway.metric('live_seconds_since_last_record')).toBeNaN();
});

test('a gateway whose own clock is two days ahead shows good fixes, stored or live', async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(2);
  const fixAtMs = Date.now();
  await fixture.store(fixOf(deviceAt(devices, 0), { fixAtMs }));
  const gateway = await startShifted(fixture, 2 * dayMs);
  using viewer = await watch(fixture, gateway, eventId);
  await fixture.publish(fixOf(deviceAt(devices, 1), { fixAtMs }));
  await eventually(() => shownFixTimes(viewer).size === 2);
  expect(await gateway.metric('live_delivery_latency_seconds_sum')).toEqual(about(0));
  expect(await gateway.metric('live_assignment_age_seconds')).toEqual(about(0));
  const skew = await gateway.metric('live_clock_skew_seconds', { clock: 'live-gateway' });
  expect(skew).toEqual(about((2 * dayMs) / 1000));
});
