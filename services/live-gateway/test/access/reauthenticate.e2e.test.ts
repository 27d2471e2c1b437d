import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { deviceAt, fixOf, openFixture } from '../support/open-fixture.ts';
import type { Fixture, TestDevice } from '../support/open-fixture.ts';
import { testOrigin } from '../support/start-gateway.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, connectBatched } from '../support/viewer.ts';
import type { BatchedViewer } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;
/** Another replica, which issues the tickets. */
let other: RunningGateway;
let eventId: string;
let device: TestDevice;

const env = {
  LIVE_TICKET_KEY: 'a key that all replicas of this test share',
  REAUTHORIZE_INTERVAL_MS: '300',
  AUTH_CACHE_TTL_MS: '0',
  AUTHZ_CACHE_TTL_MS: '0',
  DIRECTUS_AUTHZ_TIMEOUT_MS: '5000',
};

beforeAll(async () => {
  fixture = await openFixture();
  fixture.directus.refreshGraceMs = 0;
  const event = await fixture.addEvent(1);
  ({ eventId } = event);
  device = deviceAt(event.devices);
  [gateway, other] = await Promise.all([
    fixture.start({ instanceId: 'one', env }),
    fixture.start({ instanceId: 'two', env }),
  ]);
  await Promise.all([gateway.ready(), other.ready()]);
});

afterAll(() => fixture[Symbol.asyncDispose]());

beforeEach(() => fixture.healDirectus());

interface Watching {
  readonly viewer: BatchedViewer;
  readonly session: string;
  readonly userId: string;
  /** Its name in `hello`. */
  readonly connection: string;
}

async function watch(on = gateway): Promise<Watching> {
  const { session, userId } = fixture.addViewer(eventId);
  const viewer = await connectBatched(on.wsUrl, { session });
  onTestFinished(() => viewer[Symbol.dispose]());
  const { connection } = await viewer.next('hello');
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  await viewer.next('subscribed');
  return { viewer, session, userId, connection };
}

function refresh(session: string): string {
  return fixture.directus.renewSession(session);
}

async function postTicket(
  query: string,
  headers: Readonly<Record<string, string>>,
  to = other,
): Promise<Response> {
  return await fetch(`${to.wsUrl.replace('ws:', 'http:')}${query}`, { method: 'POST', headers });
}

/** Requests a ticket as the page does, from the other replica. */
async function ticketFor(connection: string, session: string, from = other): Promise<string> {
  const cookie = `theme=dark; directus_session_token=${session}`;
  const response = await postTicket(`?connection=${connection}`, { cookie, origin: testOrigin }, from);
  expect(response.status).toBe(200);
  return z.object({ ticket: z.string() }).parse(await response.json()).ticket;
}

async function expectUpdates(viewer: BatchedViewer): Promise<void> {
  const fix = fixOf(device);
  await fixture.publish(fix);
  await viewer.next('positions', ({ rows }) => rows.some(([, , , ts]) => ts === fix.fixAtMs));
}

function outcomes(outcome: string): Promise<number> {
  return gateway.metric('live_reauthorizations_total', { outcome });
}

/** Waits for two more checks of a subscription that Directus allowed. */
async function expectAuthorised(): Promise<void> {
  const before = await outcomes('allowed');
  await eventually(async () => (await outcomes('allowed')) >= before + 2, { timeoutMs: 10_000 });
}

describe('a connection whose session was refreshed', () => {
  test('is told that the session has ended, takes the next one from a ticket of another replica, and continues', async () => {
    const { viewer, session, connection } = await watch();
    const next = refresh(session);
    expect(await viewer.next('session-ended')).toEqual({ type: 'session-ended', afterMs: 10_000 });
    viewer.send({ type: 'reauthenticate', id: 'r', ticket: await ticketFor(connection, next) });
    expect(await viewer.next('reauthenticated')).toEqual({ type: 'reauthenticated', id: 'r' });
    await expectAuthorised();
    await expectUpdates(viewer);
    // A later refresh again.
    const third = refresh(next);
    viewer.send({ type: 'reauthenticate', ticket: await ticketFor(connection, third) });
    await viewer.next('reauthenticated');
    await expectAuthorised();
    expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
    expect(viewer.messages.some(({ type }) => type === 'unsubscribed')).toBe(false);
  });

  test('is closed with 4001 if it hands no session over in time', async () => {
    const { viewer, session } = await watch();
    fixture.directus.expireSession(session);
    await viewer.next('session-ended');
    await expectUpdates(viewer);
    expect(await viewer.closed(20_000)).toBe(4001);
    expect(viewer.messages.filter(({ type }) => type === 'session-ended')).toHaveLength(1);
  });

  test('may subscribe again once it has handed the next session over', async () => {
    const added = await fixture.addEvent(0);
    const { viewer, session, userId, connection } = await watch();
    fixture.directus.allow(userId, added.eventId);
    const next = refresh(session);
    const message = { type: 'subscribe', topic: `event:${added.eventId}` };
    viewer.send({ ...message, id: 'early' });
    expect(await viewer.next('error')).toMatchObject({ id: 'early', code: 'unavailable', temporary: true });
    viewer.send({ type: 'reauthenticate', ticket: await ticketFor(connection, next) });
    await viewer.next('reauthenticated');
    viewer.send({ ...message, id: 'late' });
    expect(await viewer.next('subscribed', ({ id }) => id === 'late')).toMatchObject({
      topic: message.topic,
    });
  });

  test('keeps its new session although a check with the previous one is answered later', async () => {
    const { viewer, session, connection } = await watch();
    const next = refresh(session);
    const ticket = await ticketFor(connection, next);
    const checks = () => fixture.directus.calls.filter(({ path }) => path.includes(eventId)).length;
    const before = checks();
    fixture.directus.misbehave('slow', { slowMs: 1_500 });
    await eventually(() => checks() > before);
    fixture.directus.misbehave('ok');
    const endedBefore = await outcomes('session-ended');
    viewer.send({ type: 'reauthenticate', ticket });
    await viewer.next('reauthenticated');
    await eventually(async () => (await outcomes('session-ended')) > endedBefore);
    await expectAuthorised();
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    expect(viewer.messages.some(({ type }) => type === 'session-ended')).toBe(false);
  });

  test('of two tickets keeps the session of the later one although the earlier one is answered last', async () => {
    const { viewer, userId, connection } = await watch();
    const [earlier, later] = [`earlier-${userId}`, `later-${userId}`];
    for (const session of [earlier, later]) fixture.directus.addSession(session, userId);
    const tickets = await Promise.all([earlier, later].map((session) => ticketFor(connection, session)));
    const before = fixture.directus.calls.length;
    fixture.directus.misbehave('slow', { slowMs: 2_000 });
    viewer.send({ type: 'reauthenticate', id: 'earlier', ticket: tickets[0] });
    await eventually(() =>
      fixture.directus.calls.slice(before).some(({ path }) => path.includes('users/me')),
    );
    fixture.directus.misbehave('ok');
    viewer.send({ type: 'reauthenticate', id: 'later', ticket: tickets[1] });
    expect((await viewer.next('reauthenticated')).id).toBe('later');
    expect((await viewer.next('reauthenticated')).id).toBe('earlier');
    fixture.directus.expireSession(earlier);
    await expectAuthorised();
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    expect(viewer.messages.some(({ type }) => type === 'session-ended')).toBe(false);
  });
});

async function expectRefused({ viewer }: Watching, ticket: string): Promise<void> {
  viewer.send({ type: 'reauthenticate', id: 'r', ticket });
  expect(await viewer.next('error')).toMatchObject({ id: 'r', code: 'bad-session', temporary: false });
}

describe('a ticket', () => {
  test("with another user's session is refused, whoever asks, and the connection keeps its own", async () => {
    const watching = await watch();
    const stranger = fixture.addViewer(eventId);
    await expectRefused(watching, await ticketFor(watching.connection, stranger.session));
    await expectAuthorised();
    await expectUpdates(watching.viewer);
    fixture.directus.expireSession(watching.session);
    await watching.viewer.next('session-ended');
  });

  test('of another connection of the same user is refused', async () => {
    const watching = await watch();
    const second = await connectBatched(gateway.wsUrl, { session: watching.session });
    onTestFinished(() => second[Symbol.dispose]());
    const { connection } = await second.next('hello');
    await expectRefused(watching, await ticketFor(connection, watching.session));
    second.send({ type: 'reauthenticate', ticket: await ticketFor(connection, watching.session) });
    await second.next('reauthenticated');
  });

  test('with a session that has ended, or made up, is refused', async () => {
    const watching = await watch();
    const ended = refresh(watching.session);
    fixture.directus.expireSession(ended);
    await expectRefused(watching, await ticketFor(watching.connection, ended));
    await expectRefused(watching, 'bm90IGEgdGlja2V0');
  });

  test('is answered unavailable while Directus is down, and can be used afterwards', async () => {
    const { viewer, session, connection } = await watch();
    const ticket = await ticketFor(connection, refresh(session));
    fixture.directus.misbehave('503');
    viewer.send({ type: 'reauthenticate', ticket });
    expect(await viewer.next('error')).toMatchObject({ code: 'unavailable', temporary: true });
    await fixture.healDirectus();
    viewer.send({ type: 'reauthenticate', ticket });
    await viewer.next('reauthenticated');
  });
});

describe('a request for a ticket', () => {
  const connection = '0f0e0d0c-0b0a-4908-8706-050403020100';
  const cookie = 'directus_session_token=s';

  test('is answered to pages of allowed origins only, and not cached', async () => {
    const response = await postTicket(`?connection=${connection}`, { cookie, origin: testOrigin });
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': testOrigin,
      'access-control-allow-credentials': 'true',
      'cache-control': 'no-store',
      vary: 'Origin',
    });
    for (const headers of [
      { cookie, origin: 'https://evil.example.org' },
      { cookie, origin: 'null' },
      { cookie },
    ]) {
      const refused = await postTicket(`?connection=${connection}`, headers);
      expect(refused.status).toBe(403);
      expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test.each([
    ['', { cookie }, 400],
    ['?connection=', { cookie }, 400],
    ['?connection=x', { cookie }, 400],
    [`?connection=${connection}`, {}, 401],
    [`?connection=${connection}`, { cookie: 'theme=dark' }, 401],
    [`?connection=${connection}`, { cookie: `directus_session_token=${'x'.repeat(4_000)}` }, 400],
  ])('%s with %o gets a %i', async (query, headers: Record<string, string>, status) => {
    expect((await postTicket(query, { ...headers, origin: testOrigin })).status).toBe(status);
  });
});

test('without a key, or in the plain dialect, a session that ends closes the connection with 4001 at once', async () => {
  const { LIVE_TICKET_KEY: _key, ...withoutKey } = env;
  const keyless = await fixture.start({ instanceId: 'keyless', env: withoutKey });
  await keyless.ready();
  const { viewer, session, connection } = await watch(keyless);
  const hello = viewer.messages.find(({ type }) => type === 'hello');
  expect(hello).not.toHaveProperty('tickets');
  viewer.send({ type: 'reauthenticate', id: 1, ticket: await ticketFor(connection, session) });
  expect(await viewer.next('error')).toMatchObject({ code: 'unknown-type' });
  const response = await postTicket(`?connection=${connection}`, { origin: testOrigin }, keyless);
  expect(response.status).toBe(426);
  const plainSession = fixture.addViewer(eventId).session;
  using plain = await connect(gateway.wsUrl, { session: plainSession });
  plain.send({ type: 'subscribe', topic: `event:${eventId}` });
  await plain.next('subscribed');
  for (const each of [session, plainSession]) fixture.directus.expireSession(each);
  expect(await viewer.closed(15_000)).toBe(4001);
  expect(await plain.closed(15_000)).toBe(4001);
  expect(viewer.messages.some(({ type }) => type === 'session-ended')).toBe(false);
  await keyless.kill();
});
