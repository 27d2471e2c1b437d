import { randomUUID } from 'node:crypto';
import { eventually } from '@app/test-kit/eventually';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from '../support/open-fixture.ts';
import type { Fixture, TestDevice } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, connectBatched, tryConnect } from '../support/viewer.ts';
import type { Handshake, Viewer } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;
/** Shown by the public policy. */
let eventId: string;
let topic: string;
let device: TestDevice;

beforeAll(async () => {
  fixture = await openFixture();
  const event = await fixture.addEvent(1);
  ({ eventId } = event);
  topic = `event:${eventId}`;
  device = deviceAt(event.devices);
  fixture.directus.allowPublic(eventId);
  gateway = await fixture.start({
    env: {
      LIVE_ANONYMOUS_PER_ADDRESS: '3',
      LIVE_BEARER_TOKENS: 'on',
      LIVE_TRUSTED_PROXIES: '127.0.0.1',
      REAUTHORIZE_INTERVAL_MS: '300',
      AUTHZ_CACHE_TTL_MS: '5000',
      AUTH_CACHE_TTL_MS: '0',
      DIRECTUS_AUTHZ_TIMEOUT_MS: '1000',
    },
  });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

beforeEach(() => fixture.healDirectus());

let addresses = 0;

/** The headers of a client with an address of its own. */
function fromNewAddress(headers: Readonly<Record<string, string>> = {}): Handshake {
  addresses += 1;
  return { headers: { 'x-forwarded-for': `198.51.100.${addresses}`, ...headers } };
}

/** Addresses of one /64 network. */
function fromIpv6(host: number): Handshake {
  return { headers: { 'x-forwarded-for': `2001:db8::${host}` } };
}

/** Connections opened with no credential, a token and a session. */
async function admissions(): Promise<readonly number[]> {
  return await Promise.all(
    ['anonymous', 'bearer', 'session'].map((credential) =>
      gateway.metric('live_admissions_total', { credential }),
    ),
  );
}

async function open(handshake: Handshake): Promise<Viewer> {
  const viewer = await connect(gateway.wsUrl, handshake);
  onTestFinished(() => viewer[Symbol.dispose]());
  return viewer;
}

async function watch(handshake: Handshake, watched = topic): Promise<Viewer> {
  const viewer = await open(handshake);
  viewer.send({ type: 'subscribe', topic: watched });
  await viewer.next('subscribed');
  return viewer;
}

async function expectUpdates(viewer: Viewer): Promise<void> {
  const fix = fixOf(device);
  await fixture.publish(fix);
  await viewer.next('position', (position) => position.ts === fix.fixAtMs);
}

async function refusalOf(handshake: Handshake, to = gateway): Promise<number | 'accepted'> {
  const outcome = await tryConnect(to.wsUrl, handshake);
  if ('status' in outcome) return outcome.status;
  outcome[Symbol.dispose]();
  return 'accepted';
}

function bearer(token: string): Handshake {
  return fromNewAddress({ authorization: `Bearer ${token}` });
}

function addToken(...eventIds: readonly string[]): { readonly token: string; readonly userId: string } {
  const { userId } = fixture.addViewer(...eventIds);
  const token = `static-${randomUUID()}`;
  fixture.directus.addStaticToken(token, userId);
  return { token, userId };
}

async function watchBatched(token: string) {
  const viewer = await connectBatched(gateway.wsUrl, bearer(token));
  onTestFinished(() => viewer[Symbol.dispose]());
  const hello = await viewer.next('hello');
  viewer.send({ type: 'subscribe', topic });
  await viewer.next('subscribed');
  return { viewer, hello };
}

function allowedChecks(): Promise<number> {
  return gateway.metric('live_reauthorizations_total', { outcome: 'allowed' });
}

/** Waits for two more checks that Directus allowed. */
async function expectAuthorised(): Promise<void> {
  const before = await allowedChecks();
  await eventually(async () => (await allowedChecks()) >= before + 2, { timeoutMs: 10_000 });
}

test('by default a request without a session, or with a token, gets a 401', async () => {
  const usual = await fixture.start({ instanceId: 'usual' });
  const { token } = addToken(eventId);
  expect(await refusalOf(fromNewAddress(), usual)).toBe(401);
  expect(await refusalOf(bearer(token), usual)).toBe(401);
  await usual.kill();
});

describe('an anonymous viewer', () => {
  test('watches an event that Directus shows to everybody, and no other', async () => {
    const other = await fixture.addEvent(0);
    const callsBefore = fixture.directus.calls.length;
    const viewer = await watch(fromNewAddress());
    await expectUpdates(viewer);
    viewer.send({ type: 'subscribe', id: 'other', topic: `event:${other.eventId}` });
    expect(await viewer.next('error')).toMatchObject({ id: 'other', code: 'forbidden' });
    const calls = fixture.directus.calls.slice(callsBefore);
    expect(calls.map(({ path }) => path)).not.toContain('/users/me');
    for (const { headerNames } of calls) {
      expect(headerNames).not.toContain('cookie');
      expect(headerNames).not.toContain('authorization');
    }
  });

  test('loses the event when it is no longer public, and all share one request until then', async () => {
    const { eventId: ending } = await fixture.addEvent(0);
    fixture.directus.allowPublic(ending);
    const viewers: Viewer[] = [];
    for (let n = 0; n < 20; n += 1) viewers.push(await watch(fromNewAddress(), `event:${ending}`));
    const calls = () => fixture.directus.calls.filter(({ path }) => path.includes(ending)).length;
    const checked = { outcome: 'allowed' };
    const checksBefore = await gateway.metric('live_reauthorizations_total', checked);
    const callsBefore = calls();
    await eventually(
      async () => (await gateway.metric('live_reauthorizations_total', checked)) >= checksBefore + 200,
      { timeoutMs: 20_000 },
    );
    // One in AUTHZ_CACHE_TTL_MS, for at least ten rounds of checks.
    expect(calls() - callsBefore).toBeLessThan(8);
    fixture.directus.forbidPublic(ending);
    for (const viewer of viewers) {
      expect(await viewer.next('unsubscribed', undefined, 15_000)).toMatchObject({ reason: 'forbidden' });
    }
  });

  test('is one of at most 3 per address: a further one is closed with 1013, the others and other addresses are not', async () => {
    const address = fromNewAddress();
    const viewers = [await watch(address), await watch(address), await watch(address)];
    const further = await open(address);
    expect(await further.closed()).toBe(1013);
    for (const viewer of viewers) await expectUpdates(viewer);
    await watch(fromNewAddress());
    // A user behind the same address is not limited.
    await watch({ ...address, session: fixture.addViewer(eventId).session });
    viewers[0]?.socket.close();
    await viewers[0]?.closed();
    await watch(address);
    // The addresses of a /64 network count together.
    for (let host = 1; host <= 3; host += 1) await watch(fromIpv6(host));
    expect(await (await open(fromIpv6(4))).closed()).toBe(1013);
  });

  test('is not who sends a session that is not valid', async () => {
    const { session } = fixture.addViewer(eventId);
    fixture.directus.expireSession(session);
    expect(await refusalOf({ ...fromNewAddress(), session })).toBe(401);
    expect(await refusalOf({ ...fromNewAddress(), session: 'unknown' })).toBe(401);
    expect(await refusalOf({ ...fromNewAddress(), session: 'a b' })).toBe(401);
    expect(await refusalOf({ ...fromNewAddress(), origin: 'https://evil.example.org' })).toBe(403);
  });

  test('waits while Directus is down, and keeps what it watches', async () => {
    const watching = await watch(fromNewAddress());
    const added = await fixture.addEvent(0);
    fixture.directus.allowPublic(added.eventId);
    fixture.directus.misbehave('503');
    const viewer = await open(fromNewAddress());
    const message = { type: 'subscribe', topic: `event:${added.eventId}` };
    viewer.send(message);
    expect(await viewer.next('error')).toMatchObject({ code: 'unavailable', temporary: true });
    await eventually(async () => (await gateway.metric('live_unconfirmed_subscriptions')) > 0, {
      timeoutMs: 10_000,
    });
    await expectUpdates(watching);
    await fixture.healDirectus();
    viewer.send(message);
    await viewer.next('subscribed');
    await expectUpdates(watching);
  });
});

describe('a client with a static token', () => {
  test('watches what its user may see, without an Origin; Directus gets the token and no cookie', async () => {
    const { eventId: own } = await fixture.addEvent(0);
    const { token } = addToken(own, eventId);
    const { session } = fixture.addViewer();
    const callsBefore = fixture.directus.calls.length;
    const handshake = { ...bearer(token), origin: '', session };
    await watch(handshake, `event:${own}`);
    const calls = fixture.directus.calls.slice(callsBefore);
    expect(calls.map(({ path }) => path)).toEqual(['/users/me', `/items/events/${own}?fields=id`]);
    for (const { headerNames, cookieNames } of calls) {
      expect(headerNames).toContain('authorization');
      expect(cookieNames).toEqual([]);
    }
  });

  test('is refused with a token that is unknown, malformed, of a suspended user, in the URL, or from a foreign origin', async () => {
    const { token, userId } = addToken(eventId);
    expect(await refusalOf(bearer(token))).toBe('accepted');
    expect(await refusalOf(bearer('unknown'))).toBe(401);
    expect(await refusalOf(bearer('a b'))).toBe(401);
    expect(await refusalOf(fromNewAddress({ authorization: `Basic ${token}` }))).toBe(401);
    expect(await refusalOf({ ...bearer(token), origin: 'https://evil.example.org' })).toBe(403);
    expect(await refusalOf({ ...fromNewAddress(), origin: '' })).toBe(403);
    fixture.directus.suspend(userId);
    expect(await refusalOf(bearer(token))).toBe(401);
    const { token: other } = addToken(eventId);
    const inUrl = await tryConnect(`${gateway.wsUrl}?access_token=${other}`, fromNewAddress());
    // Not a user: admitted as anybody without a credential.
    if ('status' in inUrl) throw new Error(`refused with ${inUrl.status}`);
    onTestFinished(() => inUrl[Symbol.dispose]());
    const { eventId: own } = await fixture.addEvent(0);
    inUrl.send({ type: 'subscribe', topic: `event:${own}` });
    expect(await inUrl.next('error')).toMatchObject({ code: 'forbidden' });
  });

  test('is closed with 4001 once its token is no longer valid', async () => {
    const { token, userId } = addToken(eventId);
    const viewer = await watch(bearer(token));
    fixture.directus.suspend(userId);
    expect(await viewer.closed(15_000)).toBe(4001);
  });
});

describe('a client with a token that expires', () => {
  test('hands the next one over, before or after it is told that the first has expired, and continues', async () => {
    fixture.directus.refreshGraceMs = 0;
    const { session: token, userId } = fixture.addViewer(eventId);
    const { viewer, hello } = await watchBatched(token);
    expect(hello).toMatchObject({ tokens: true });
    expect(hello).not.toHaveProperty('tickets');
    const early = addToken().token;
    fixture.directus.addStaticToken(early, userId);
    viewer.send({ type: 'reauthenticate', id: 'early', token: early });
    expect(await viewer.next('reauthenticated')).toEqual({ type: 'reauthenticated', id: 'early' });
    viewer.send({ type: 'reauthenticate', id: 'back', token });
    await viewer.next('reauthenticated', ({ id }) => id === 'back');
    const next = fixture.directus.renewSession(token);
    await viewer.next('session-ended');
    viewer.send({ type: 'reauthenticate', id: 'late', token: next });
    await viewer.next('reauthenticated', ({ id }) => id === 'late');
    await expectAuthorised();
    expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
    fixture.directus.expireSession(next);
    expect(await viewer.closed(20_000)).toBe(4001);
  });

  test('keeps the token that it has if it hands over one that is malformed, unknown, or of another user, or a ticket', async () => {
    const { token } = addToken(eventId);
    const { viewer } = await watchBatched(token);
    const refusals = [
      [{ token: 'a b' }, 'bad-session'],
      [{ token: 'x\r\nCookie: y' }, 'bad-session'],
      [{ token: 'unknown' }, 'bad-session'],
      [{ token: addToken(eventId).token }, 'bad-session'],
      [{ ticket: 'x' }, 'unknown-type'],
    ] as const;
    for (const [index, [handedOver, code]] of refusals.entries()) {
      viewer.send({ type: 'reauthenticate', id: index, ...handedOver });
      expect(await viewer.next('error', ({ id }) => id === index)).toMatchObject({ code });
    }
    await expectAuthorised();
    expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
  });

  test('cannot make a connection with a session take a token', async () => {
    const { session, userId } = fixture.addViewer(eventId);
    const viewer = await connectBatched(gateway.wsUrl, { ...fromNewAddress(), session });
    onTestFinished(() => viewer[Symbol.dispose]());
    expect(await viewer.next('hello')).not.toHaveProperty('tokens');
    const token = `static-${randomUUID()}`;
    fixture.directus.addStaticToken(token, userId);
    viewer.send({ type: 'reauthenticate', token });
    expect(await viewer.next('error')).toMatchObject({ code: 'unknown-type' });
  });
});

test('connections are counted by the kind of credential', async () => {
  const before = await admissions();
  await open(fromNewAddress());
  await open(bearer(addToken().token));
  await open({ ...fromNewAddress(), session: fixture.addViewer().session });
  expect(await admissions()).toEqual(before.map((count) => count + 1));
});
