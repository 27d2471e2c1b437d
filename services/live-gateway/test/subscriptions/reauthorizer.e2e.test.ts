import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

let world: Fixture;
let gateway: RunningGateway;
let eventId: string;
let topic: string;
let device: TestDevice;

// Remembered answers would do for an hour: a check that used one would never see anything withdrawn.
const env = {
  REAUTHORIZE_INTERVAL_MS: '300',
  REAUTHORIZE_GRACE_MS: '3600000',
  AUTHZ_CACHE_TTL_MS: '3600000',
  DIRECTUS_AUTHZ_TIMEOUT_MS: '1000',
  DIRECTUS_AUTH_TIMEOUT_MS: '1000',
};

beforeAll(async () => {
  world = await openFixture();
  const event = await world.addEvent(1);
  const [first] = event.devices;
  if (first === undefined) throw new Error('no device');
  ({ eventId } = event);
  topic = `event:${eventId}`;
  device = first;
  gateway = await world.start({ env });
  await gateway.ready();
});

afterAll(() => world[Symbol.asyncDispose]());

beforeEach(() => world.healDirectus());

async function watch(session: string, from = gateway): Promise<Viewer> {
  const viewer = await connect(from.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic });
  await viewer.next('subscribed');
  return viewer;
}

async function expectServed(viewer: Viewer): Promise<void> {
  const fix = fixOf(device);
  await world.publish(fix);
  await viewer.next('position', (position) => position.ts === fix.fixAtMs);
}

function outcomes(outcome: string): Promise<number> {
  return gateway.metric('live_reauthorizations_total', { outcome });
}

async function addUser(): Promise<{ session: string; userId: string }> {
  const viewer = world.addViewer(eventId);
  await world.sql`insert into directus_users (id, status) values (${viewer.userId}, 'active')`;
  return viewer;
}

function unreadableNotices(): number {
  return gateway.log.filter(({ msg }) => String(msg).includes('directus_users')).length;
}

function permissionCalls(): number {
  return world.directus.calls.filter(({ path }) => path.startsWith('/items/events/')).length;
}

describe('a live subscription', () => {
  test('whose permission still holds is asked about again and again, and goes on', async () => {
    using viewer = await watch(world.addViewer(eventId).session);
    const callsBefore = permissionCalls();
    await expect.poll(() => permissionCalls() - callsBefore, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    await expectServed(viewer);
    expect(viewer.messages.some(({ type }) => type === 'unsubscribed')).toBe(false);
  });

  test('whose permission was withdrawn is taken away, and nothing else of the connection', async () => {
    const other = await world.addEvent(0);
    const { session, userId } = world.addViewer(eventId, other.eventId);
    using viewer = await watch(session);
    viewer.send({ type: 'subscribe', topic: `event:${other.eventId}` });
    await viewer.next('subscribed');
    world.directus.forbid(userId, other.eventId);
    const unsubscribed = await viewer.next('unsubscribed', undefined, 15_000);
    expect(unsubscribed).toEqual({
      type: 'unsubscribed',
      topic: `event:${other.eventId}`,
      reason: 'forbidden',
    });
    await expectServed(viewer);
  });

  test('of a session that has ended closes the connection with 4001', async () => {
    const { session } = world.addViewer(eventId);
    using viewer = await watch(session);
    world.directus.expireSession(session);
    expect(await viewer.closed(15_000)).toBe(4001);
  });

  test('of a session whose key was changed closes the connection with 4001, though Directus says 403', async () => {
    const { session } = world.addViewer(eventId);
    using viewer = await watch(session);
    world.directus.addForeignSession(session);
    expect(await viewer.closed(15_000)).toBe(4001);
  });

  test('that the client gives up while it is asked about ends as the client wants', async () => {
    const { session, userId } = world.addViewer(eventId);
    using viewer = await watch(session);
    world.directus.forbid(userId, eventId);
    world.directus.misbehave('slow', { slowMs: 200 });
    const callsBefore = permissionCalls();
    await expect.poll(() => permissionCalls(), { interval: 5, timeout: 10_000 }).toBe(callsBefore + 1);
    const settledBefore = await outcomes('forbidden');
    viewer.send({ type: 'unsubscribe', id: 'bye', topic });
    expect(await viewer.next('unsubscribed')).toEqual({ type: 'unsubscribed', id: 'bye', topic });
    await expect.poll(() => outcomes('forbidden')).toBe(settledBefore + 1);
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    expect(viewer.messages.filter(({ type }) => type === 'unsubscribed')).toHaveLength(1);
  });

  test.each(['429', 'hang', 'refuse'] as const)(
    'is kept while Directus answers %s, counted, and confirmed as soon as it answers again; newcomers wait outside',
    async (mode) => {
      const { session } = world.addViewer(eventId);
      using viewer = await watch(session);
      const keptBefore = await outcomes('unavailable');
      world.directus.misbehave(mode);
      await expect.poll(() => gateway.metric('live_unconfirmed_subscriptions'), { timeout: 10_000 }).toBe(1);
      await expect.poll(() => outcomes('unavailable'), { timeout: 10_000 }).toBeGreaterThan(keptBefore + 1);
      await expectServed(viewer);
      const newcomer = await tryConnect(gateway.wsUrl, { session: world.addViewer(eventId).session });
      expect(newcomer).toMatchObject({ status: 503 });
      expect((await fetch(`${gateway.opsUrl}/readyz`)).status).toBe(200);
      await world.healDirectus();
      await expect.poll(() => gateway.metric('live_unconfirmed_subscriptions'), { timeout: 10_000 }).toBe(0);
      await expectServed(viewer);
    },
  );
});

test('whoever could not be confirmed for longer than the grace is closed, and not let in again until Directus is back', async () => {
  const strict = await world.start({ instanceId: 'strict', env: { ...env, REAUTHORIZE_GRACE_MS: '1000' } });
  await strict.ready();
  const { session } = world.addViewer(eventId);
  const viewers: Viewer[] = [];
  for (let n = 0; n < 60; n += 1) viewers.push(await watch(world.addViewer(eventId).session, strict));
  const callsBefore = permissionCalls();
  world.directus.misbehave('hang');
  for (const viewer of viewers) expect(await viewer.closed(20_000)).toBe(1013);
  expect(await strict.metric('live_reauthorizations_total', { outcome: 'grace-over' })).toBe(60);
  // Fewer and fewer questions are asked at once: the grace is over for those too whose turn did not come.
  expect(permissionCalls() - callsBefore).toBeLessThan(60);
  await world.healDirectus();
  await expect.poll(() => strict.metric('live_subscriptions')).toBe(0);
  world.directus.misbehave('503');
  await expect
    .poll(() => tryConnect(strict.wsUrl, { session: world.addViewer(eventId).session }))
    .toMatchObject({ status: 503 });
  await world.healDirectus();
  (await watch(session, strict))[Symbol.dispose]();
});

test('the checks of those who are in leave Directus time for newcomers', async () => {
  const busy = await world.start({
    instanceId: 'busy',
    env: { ...env, DIRECTUS_AUTHZ_TIMEOUT_MS: '60000', DIRECTUS_AUTH_TIMEOUT_MS: '10000' },
  });
  await busy.ready();
  const viewers = await Promise.all(
    Array.from({ length: 40 }, () => watch(world.addViewer(eventId).session, busy)),
  );
  const callsBefore = permissionCalls();
  world.directus.misbehave('slow', { slowMs: 60_000 });
  // Those under way when it became slow are answered yet, so only the slow ones count.
  await expect.poll(() => permissionCalls() - callsBefore, { timeout: 10_000 }).toBeGreaterThanOrEqual(16);
  world.directus.misbehave('ok');
  using newcomer = await watch(world.addViewer(eventId).session, busy);
  expect(newcomer.socket.readyState).toBe(newcomer.socket.OPEN);
  // The newcomer's own question, and not one of the twenty-four others that are due.
  const asked = permissionCalls() - callsBefore;
  expect(asked).toBeLessThanOrEqual(16 + 1);
  for (const viewer of viewers) viewer[Symbol.dispose]();
  await busy.kill();
});

describe('a user whom Directus has suspended', () => {
  test('is sent away on all connections and kept out until it is active again, though Directus 11 still knows the session', async () => {
    const { session, userId } = await addUser();
    using viewer = await watch(session);
    // Without any subscription too.
    using idle = await connect(gateway.wsUrl, { session });
    using other = await watch((await addUser()).session);
    await world.sql`update directus_users set status = 'suspended' where id = ${userId}`;
    expect(await viewer.closed(15_000)).toBe(4001);
    expect(await idle.closed(15_000)).toBe(4001);
    expect(await tryConnect(gateway.wsUrl, { session })).toMatchObject({ status: 401 });
    await expectServed(other);
    await world.sql`update directus_users set status = 'active' where id = ${userId}`;
    await expect
      .poll(async () => {
        const again = await tryConnect(gateway.wsUrl, { session });
        if ('status' in again) return again.status;
        again[Symbol.dispose]();
        return 'in';
      })
      .toBe('in');
  });

  test('is known only by what Directus answers where the table cannot be read, which harms nobody', async () => {
    const { session, userId } = await addUser();
    using viewer = await watch(session);
    await world.sql`alter table directus_users rename to directus_users_away`;
    await expect.poll(unreadableNotices, { timeout: 10_000 }).toBe(1);
    await expectServed(viewer);
    await world.sql`update directus_users_away set status = 'suspended' where id = ${userId}`;
    await expectServed(viewer);
    await world.sql`alter table directus_users_away rename to directus_users`;
    expect(await viewer.closed(15_000)).toBe(4001);
    expect(unreadableNotices()).toBe(1);
  });
});
