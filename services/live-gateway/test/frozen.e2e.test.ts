import { once } from 'node:events';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import { connect, subscribe, tryConnect } from './support/viewer.ts';

test(
  'a gateway that was stopped for longer than its limits closes only clients that really exceed them',
  { timeout: 120_000 },
  async () => {
    await using fixture = await openFixture();
    const { eventId, devices } = await fixture.addEvent(1);
    const gateway = await fixture.start({
      env: {
        LIVE_WS_PING_INTERVAL_MS: '1000',
        LIVE_MAX_CONNECTION_AGE_MS: '60000',
        DIRECTUS_AUTH_TIMEOUT_MS: '3000',
      },
    });
    await gateway.ready();
    using silent = await connect(gateway.wsUrl, {
      session: fixture.addViewer().session,
      answersPings: false,
    });
    using viewer = await subscribe(gateway, fixture, eventId);
    await viewer.next('subscribed');
    await once(viewer.socket, 'ping');
    // An upgrade that is answered by Directus while the gateway is stopped.
    fixture.directus.misbehave('slow', { slowMs: 500 });
    const callsBefore = fixture.directus.calls.length;
    const connecting = tryConnect(gateway.wsUrl, { session: fixture.addViewer().session });
    await eventually(() => fixture.directus.calls.length > callsBefore);

    const stopped = gateway.freeze(4_000);
    // No more than the rate allows in this time, in addition to the burst of 20.
    for (let id = 0; id < 50; id += 1) viewer.send({ type: 'ping', id });
    await stopped;
    gateway.resume();

    const admitted = await connecting;
    expect('status' in admitted ? admitted.status : 101).toBe(101);
    for (let id = 0; id < 50; id += 1) await viewer.next('pong', (pong) => pong.id === id);
    expect(await silent.closed(15_000)).toBe(4003);
    const fix = fixOf(deviceAt(devices));
    await fixture.publish(fix);
    await viewer.next('position', ({ ts }) => ts === fix.fixAtMs);
    expect(await gateway.metric('live_closes_total', { code: '4003' })).toBe(1);
    expect(await gateway.metric('live_connections')).toBe(2);
    expect(gateway.log.filter(({ msg }) => String(msg).startsWith('process did not run'))).toHaveLength(1);
    if (!('status' in admitted)) admitted[Symbol.dispose]();
  },
);

test('a grace period does not pass while the gateway is stopped', { timeout: 120_000 }, async () => {
  await using fixture = await openFixture();
  const { eventId } = await fixture.addEvent(0);
  const gateway = await fixture.start({
    env: { REAUTHORIZE_INTERVAL_MS: '400', REAUTHORIZE_GRACE_MS: '3000', AUTHZ_CACHE_TTL_MS: '100' },
  });
  await gateway.ready();
  using viewer = await subscribe(gateway, fixture, eventId);
  await viewer.next('subscribed');
  fixture.directus.misbehave('503');
  await eventually(async () => (await gateway.metric('live_unconfirmed_subscriptions')) === 1, {
    timeoutMs: 15_000,
  });
  await gateway.freeze(4_000);
  await fixture.healDirectus();
  const allowed = (): Promise<number> =>
    gateway.metric('live_reauthorizations_total', { outcome: 'allowed' });
  gateway.resume();
  const allowedBefore = await allowed();
  await eventually(async () => (await allowed()) > allowedBefore, { timeoutMs: 15_000 });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
  expect(await gateway.metric('live_reauthorizations_total', { outcome: 'grace-over' })).toBe(0);
});

test('a drain that was stopped goes on with its schedule', { timeout: 120_000 }, async () => {
  await using fixture = await openFixture();
  const gateway = await fixture.start({ env: { LIVE_WS_DRAIN_TIMEOUT_MS: '6000' } });
  await gateway.ready();
  const { session } = fixture.addViewer();
  const viewers = await Promise.all(Array.from({ length: 20 }, () => connect(gateway.wsUrl, { session })));
  using stack = new DisposableStack();
  for (const viewer of viewers) stack.use(viewer);
  const exitCode = gateway.stop();
  await eventually(() => viewers.some(({ socket }) => socket.readyState === socket.CLOSED));
  // Longer than the grace period of the process, too.
  await gateway.freeze(17_000);
  gateway.resume();
  // Closed all at once, there would be none left by the first answer.
  expect(await gateway.metric('live_drain_remaining')).toBeGreaterThan(0);
  for (const viewer of viewers) expect(await viewer.closed(15_000)).toBe(1012);
  expect(await exitCode).toBe(0);
});
