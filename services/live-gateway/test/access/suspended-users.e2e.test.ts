import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, tryConnect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

let fixture: Fixture;
/** Polls every 200 ms. */
let gateway: RunningGateway;
let topic: string;
let eventId: string;
let device: TestDevice;

beforeAll(async () => {
  fixture = await openFixture();
  const event = await fixture.addEvent(1);
  const [first] = event.devices;
  if (first === undefined) throw new Error('no device');
  ({ eventId } = event);
  topic = `event:${eventId}`;
  device = first;
  gateway = await fixture.start();
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

async function addUser(): Promise<{ session: string; userId: string }> {
  const viewer = fixture.addViewer(eventId);
  await fixture.sql`insert into directus_users (id, status) values (${viewer.userId}, 'active')`;
  return viewer;
}

async function setStatus(userId: string, status: string): Promise<void> {
  await fixture.sql`update directus_users set status = ${status} where id = ${userId}`;
}

async function watch(session: string, from = gateway): Promise<Viewer> {
  const viewer = await connect(from.wsUrl, { session });
  onTestFinished(() => viewer[Symbol.dispose]());
  viewer.send({ type: 'subscribe', topic });
  await viewer.next('subscribed');
  return viewer;
}

async function expectUpdates(viewer: Viewer): Promise<void> {
  const fix = fixOf(device);
  await fixture.publish(fix);
  await viewer.next('position', (position) => position.ts === fix.fixAtMs);
}

/** `admitted`, or the status of the refusal. */
async function admissionOf(session: string, to = gateway): Promise<number | 'admitted'> {
  const outcome = await tryConnect(to.wsUrl, { session });
  if ('status' in outcome) return outcome.status;
  outcome[Symbol.dispose]();
  return 'admitted';
}

function unreadableNotices(): number {
  return gateway.log.filter(({ msg }) => String(msg).includes('directus_users')).length;
}

test('a connected user who is suspended is disconnected and refused until active again, although Directus 11 still accepts the session', async () => {
  const { session, userId } = await addUser();
  const viewer = await watch(session);
  // Has no subscription.
  using idle = await connect(gateway.wsUrl, { session });
  const other = await watch((await addUser()).session);
  await setStatus(userId, 'suspended');
  expect(await viewer.closed(15_000)).toBe(4001);
  expect(await idle.closed(15_000)).toBe(4001);
  expect(await admissionOf(session)).toBe(401);
  await expectUpdates(other);
  await setStatus(userId, 'active');
  expect(await admissionOf(session)).toBe('admitted');
});

test.each(['suspended', 'archived', 'draft'])(
  'a user who became %s while disconnected is refused at once, before any poll',
  async (status) => {
    const unpolled = await fixture.start({
      instanceId: `unpolled-${status}`,
      env: { LIVE_SUSPENDED_POLL_MS: '3600000' },
    });
    const { session, userId } = await addUser();
    // Directus' answer is cached from here on.
    expect(await admissionOf(session, unpolled)).toBe('admitted');
    await setStatus(userId, status);
    expect(await admissionOf(session, unpolled)).toBe(401);
    await setStatus(userId, 'active');
    expect(await admissionOf(session, unpolled)).toBe('admitted');
    expect(await unpolled.metric('live_suspension_checks_total', { outcome: 'suspended' })).toBe(1);
    await unpolled.kill();
  },
);

test.each(['refuse', 'hang'] as const)(
  'while Postgres does %s new users are admitted by Directus, and a suspended one is disconnected once it answers',
  async (failure) => {
    await using network = await startFaultyNetwork({ target: fixture.postgresUrl });
    const cutOff = await fixture.start({
      instanceId: `cut-off-${failure}`,
      postgresUrl: network.through(fixture.postgresUrl),
    });
    await cutOff.ready();
    const { session, userId } = await addUser();
    const active = await addUser();
    if (failure === 'refuse') {
      await network.refuse();
      network.cut();
    } else network.swallow();
    await setStatus(userId, 'suspended');
    const viewer = await watch(session, cutOff);
    const other = await watch(active.session, cutOff);
    await expectUpdates(viewer);
    expect(await cutOff.metric('live_suspension_checks_total', { outcome: 'unchecked' })).toBe(2);
    await network.heal();
    expect(await viewer.closed(30_000)).toBe(4001);
    await expectUpdates(other);
    expect(await admissionOf(session, cutOff)).toBe(401);
    await cutOff.kill();
  },
);

test('suspended users are not detected while directus_users cannot be read, which is logged once', async () => {
  const { session, userId } = await addUser();
  const viewer = await watch(session);
  await fixture.sql`alter table directus_users rename to directus_users_away`;
  await expect.poll(unreadableNotices, { timeout: 10_000 }).toBe(1);
  await expectUpdates(viewer);
  await fixture.sql`update directus_users_away set status = 'suspended' where id = ${userId}`;
  await expectUpdates(viewer);
  expect(await admissionOf(session)).toBe('admitted');
  await fixture.sql`alter table directus_users_away rename to directus_users`;
  expect(await viewer.closed(15_000)).toBe(4001);
  expect(unreadableNotices()).toBe(1);
});
