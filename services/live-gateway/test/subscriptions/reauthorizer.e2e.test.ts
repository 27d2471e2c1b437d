import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;
let eventId: string;
let topic: string;
let device: TestDevice;

// Permissions are cached for an hour: a check that used the cache would not notice a withdrawn permission.
const env = {
  REAUTHORIZE_INTERVAL_MS: '300',
  REAUTHORIZE_GRACE_MS: '3600000',
  AUTHZ_CACHE_TTL_MS: '3600000',
  DIRECTUS_AUTHZ_TIMEOUT_MS: '1000',
  DIRECTUS_AUTH_TIMEOUT_MS: '1000',
};

beforeAll(async () => {
  fixture = await openFixture();
  const event = await fixture.addEvent(1);
  const [first] = event.devices;
  if (first === undefined) throw new Error('no device');
  ({ eventId } = event);
  topic = `event:${eventId}`;
  device = first;
  gateway = await fixture.start({ env });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

beforeEach(() => fixture.healDirectus());

async function watch(session: string, from = gateway): Promise<Viewer> {
  const viewer = await connect(from.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic });
  await viewer.next('subscribed');
  return viewer;
}

async function expectUpdates(viewer: Viewer): Promise<void> {
  const fix = fixOf(device);
  await fixture.publish(fix);
  await viewer.next('position', (position) => position.ts === fix.fixAtMs);
}

function outcomes(outcome: string): Promise<number> {
  return gateway.metric('live_reauthorizations_total', { outcome });
}

function permissionCalls(): number {
  return fixture.directus.calls.filter(({ path }) => path.startsWith('/items/events/')).length;
}

describe('a live subscription', () => {
  test('is checked repeatedly and continues while it is permitted', async () => {
    using viewer = await watch(fixture.addViewer(eventId).session);
    const callsBefore = permissionCalls();
    await expect.poll(() => permissionCalls() - callsBefore, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    await expectUpdates(viewer);
    expect(viewer.messages.some(({ type }) => type === 'unsubscribed')).toBe(false);
  });

  test('ends when its permission is withdrawn, and others of the same connection continue', async () => {
    const other = await fixture.addEvent(0);
    const { session, userId } = fixture.addViewer(eventId, other.eventId);
    using viewer = await watch(session);
    viewer.send({ type: 'subscribe', topic: `event:${other.eventId}` });
    await viewer.next('subscribed');
    fixture.directus.forbid(userId, other.eventId);
    const unsubscribed = await viewer.next('unsubscribed', undefined, 15_000);
    expect(unsubscribed).toEqual({
      type: 'unsubscribed',
      topic: `event:${other.eventId}`,
      reason: 'forbidden',
    });
    await expectUpdates(viewer);
  });

  test('whose session has ended closes the connection with 4001', async () => {
    const { session } = fixture.addViewer(eventId);
    using viewer = await watch(session);
    fixture.directus.expireSession(session);
    expect(await viewer.closed(15_000)).toBe(4001);
  });

  test('whose session was signed with another key closes the connection with 4001, although Directus answers 403', async () => {
    const { session } = fixture.addViewer(eventId);
    using viewer = await watch(session);
    fixture.directus.addForeignSession(session);
    expect(await viewer.closed(15_000)).toBe(4001);
  });

  test('that the client cancels during a check is unsubscribed once, by the client', async () => {
    const { session, userId } = fixture.addViewer(eventId);
    using viewer = await watch(session);
    fixture.directus.forbid(userId, eventId);
    fixture.directus.misbehave('slow', { slowMs: 200 });
    const callsBefore = permissionCalls();
    await expect.poll(() => permissionCalls(), { interval: 5, timeout: 10_000 }).toBe(callsBefore + 1);
    const forbiddenBefore = await outcomes('forbidden');
    viewer.send({ type: 'unsubscribe', id: 'bye', topic });
    expect(await viewer.next('unsubscribed')).toEqual({ type: 'unsubscribed', id: 'bye', topic });
    await expect.poll(() => outcomes('forbidden')).toBe(forbiddenBefore + 1);
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    expect(viewer.messages.filter(({ type }) => type === 'unsubscribed')).toHaveLength(1);
  });

  test.each(['429', 'hang', 'refuse'] as const)(
    'is kept and counted as unconfirmed while Directus answers %s, and new clients get a 503',
    async (mode) => {
      const { session } = fixture.addViewer(eventId);
      using viewer = await watch(session);
      const keptBefore = await outcomes('unavailable');
      fixture.directus.misbehave(mode);
      await expect.poll(() => gateway.metric('live_unconfirmed_subscriptions'), { timeout: 10_000 }).toBe(1);
      await expect.poll(() => outcomes('unavailable'), { timeout: 10_000 }).toBeGreaterThan(keptBefore + 1);
      await expectUpdates(viewer);
      const newClient = await tryConnect(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
      expect(newClient).toMatchObject({ status: 503 });
      expect((await fetch(`${gateway.opsUrl}/readyz`)).status).toBe(200);
      await fixture.healDirectus();
      await expect.poll(() => gateway.metric('live_unconfirmed_subscriptions'), { timeout: 10_000 }).toBe(0);
      await expectUpdates(viewer);
    },
  );
});

test('a connection that is unconfirmed for longer than the grace period is closed and refused until Directus is back', async () => {
  const strict = await fixture.start({ instanceId: 'strict', env: { ...env, REAUTHORIZE_GRACE_MS: '1000' } });
  await strict.ready();
  const { session } = fixture.addViewer(eventId);
  const viewers: Viewer[] = [];
  for (let n = 0; n < 60; n += 1) viewers.push(await watch(fixture.addViewer(eventId).session, strict));
  const callsBefore = permissionCalls();
  fixture.directus.misbehave('hang');
  for (const viewer of viewers) expect(await viewer.closed(20_000)).toBe(1013);
  expect(await strict.metric('live_reauthorizations_total', { outcome: 'grace-over' })).toBe(60);
  // Checks become fewer while Directus fails; the grace period also ends for those that were not checked.
  expect(permissionCalls() - callsBefore).toBeLessThan(60);
  await fixture.healDirectus();
  await expect.poll(() => strict.metric('live_subscriptions')).toBe(0);
  fixture.directus.misbehave('503');
  await expect
    .poll(() => tryConnect(strict.wsUrl, { session: fixture.addViewer(eventId).session }))
    .toMatchObject({ status: 503 });
  await fixture.healDirectus();
  (await watch(session, strict))[Symbol.dispose]();
});

test('checks of live subscriptions leave capacity for new clients', async () => {
  const busy = await fixture.start({
    instanceId: 'busy',
    env: { ...env, DIRECTUS_AUTHZ_TIMEOUT_MS: '60000', DIRECTUS_AUTH_TIMEOUT_MS: '10000' },
  });
  await busy.ready();
  const viewers = await Promise.all(
    Array.from({ length: 40 }, () => watch(fixture.addViewer(eventId).session, busy)),
  );
  const callsBefore = permissionCalls();
  fixture.directus.misbehave('slow', { slowMs: 60_000 });
  // Checks that were sent before Directus became slow are answered and do not use up the limit.
  await expect.poll(() => permissionCalls() - callsBefore, { timeout: 10_000 }).toBeGreaterThanOrEqual(16);
  fixture.directus.misbehave('ok');
  using newClient = await watch(fixture.addViewer(eventId).session, busy);
  expect(newClient.socket.readyState).toBe(newClient.socket.OPEN);
  // The new client's own call, and none of the 24 other checks that are due.
  const calls = permissionCalls() - callsBefore;
  expect(calls).toBeLessThanOrEqual(16 + 1);
  for (const viewer of viewers) viewer[Symbol.dispose]();
  await busy.kill();
});
