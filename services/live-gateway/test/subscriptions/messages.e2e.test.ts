import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;
let eventId: string;
let topic: string;
let device: TestDevice;

beforeAll(async () => {
  fixture = await openFixture();
  const event = await fixture.addEvent(1);
  eventId = event.eventId;
  topic = `event:${eventId}`;
  const [first] = event.devices;
  if (first === undefined) throw new Error('no device');
  device = first;
  gateway = await fixture.start({
    env: {
      LIVE_MESSAGE_RATE_PER_S: '50',
      LIVE_MAX_SUBSCRIPTIONS: '2',
      DIRECTUS_AUTHZ_TIMEOUT_MS: '400',
      AUTHZ_CACHE_TTL_MS: '0',
    },
  });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

beforeEach(() => fixture.healDirectus());

async function open(...eventIds: readonly string[]): Promise<Viewer> {
  return connect(gateway.wsUrl, { session: fixture.addViewer(...eventIds).session });
}

describe('an invalid message', () => {
  test.each([
    ['of invalid JSON', '{"type":', 'bad-message', undefined],
    ['that is not an object', '[1]', 'bad-message', undefined],
    ['that is null', 'null', 'bad-message', undefined],
    ['without a type', '{"id":1}', 'bad-message', 1],
    ['of an unknown type', '{"type":"dance","id":"x"}', 'unknown-type', 'x'],
    ['with the prototype as a type', '{"type":"__proto__","id":2}', 'unknown-type', 2],
    ['without a topic', '{"type":"subscribe","id":3}', undefined, 3],
    [
      'with a bad rate',
      `{"type":"subscribe","id":4,"topic":"event:${randomUUID()}","maxHz":0}`,
      'bad-message',
      4,
    ],
    [
      'with a bad box',
      `{"type":"subscribe","id":5,"topic":"event:${randomUUID()}","bbox":[1,2]}`,
      'bad-bbox',
      5,
    ],
    ['with an id too long', `{"type":"ping","id":"${'x'.repeat(65)}"}`, 'bad-message', undefined],
    [
      'for a topic never subscribed',
      `{"type":"unsubscribe","id":6,"topic":"event:${randomUUID()}"}`,
      'not-subscribed',
      6,
    ],
  ] as const)('%s is answered with an error', async (_name, frame, code, id) => {
    using viewer = await open();
    viewer.send(frame);
    const error = await viewer.next('error');
    expect(error).toMatchObject({ temporary: false, ...(code !== undefined && { code }) });
    expect(error.id).toBe(id);
    viewer.send({ type: 'ping', id: 'still there' });
    expect((await viewer.next('pong')).id).toBe('still there');
  });

  test.each([
    '..%2f..%2fusers%2fme',
    '../../users/me',
    '',
    '.',
    '%2e',
    '0F0E0D0C-0B0A-4908-8706-050403020100',
    `${randomUUID()}/../x`,
    `${randomUUID()}?fields=*`,
    `${randomUUID()}\n`,
  ])('that names the event %j is refused without a Directus call', async (wrongId) => {
    using viewer = await open();
    const callsBefore = fixture.directus.calls.length;
    viewer.send({ type: 'subscribe', id: 1, topic: `event:${wrongId}` });
    expect(await viewer.next('error')).toMatchObject({ id: 1, code: 'unknown-topic', temporary: false });
    expect(fixture.directus.calls.length).toBe(callsBefore);
  });

  test('that is binary or longer than 4 KiB closes the connection with 4400', async () => {
    using binary = await open();
    binary.socket.send(Buffer.from('{"type":"ping"}'));
    expect(await binary.closed()).toBe(4400);
    using long = await open();
    long.send(`{"type":"ping","x":"${'y'.repeat(4096)}"}`);
    expect(await long.closed()).toBe(4400);
    using huge = await open();
    huge.send('y'.repeat(100_000));
    expect(await huge.closed()).toBe(1006);
  });

  test('beyond the rate limit is answered rate-limited, and further ones close the connection with 4005', async () => {
    using viewer = await open();
    for (let id = 0; id < 250; id += 1) viewer.send({ type: 'ping', id });
    const limited = await viewer.next('error', (error) => error.code === 'rate-limited');
    expect(limited).toMatchObject({ temporary: true });
    expect(limited.retryAfterMs).toBeGreaterThan(0);
    expect(typeof limited.id).toBe('number');
    expect(await viewer.closed()).toBe(4005);
  });
});

describe('a subscription', () => {
  test('to an event that the user may not see, or that does not exist, is forbidden', async () => {
    using viewer = await open();
    viewer.send({ type: 'subscribe', id: 'a', topic });
    expect(await viewer.next('error')).toMatchObject({ id: 'a', code: 'forbidden', temporary: false });
    viewer.send({ type: 'subscribe', id: 'b', topic: `event:${randomUUID()}` });
    expect(await viewer.next('error')).toMatchObject({ id: 'b', code: 'forbidden' });
  });

  test.each(['429', '500', '503', 'hang', 'refuse', 'page', 'redirect'] as const)(
    'is unavailable while Directus answers %s, and may be requested again',
    async (mode) => {
      using viewer = await open(eventId);
      fixture.directus.misbehave(mode);
      viewer.send({ type: 'subscribe', id: 1, topic });
      const error = await viewer.next('error');
      expect(error).toMatchObject({ id: 1, code: 'unavailable', temporary: true });
      expect(error.retryAfterMs).toBeGreaterThan(0);
      await fixture.healDirectus();
      viewer.send({ type: 'subscribe', id: 2, topic });
      expect((await viewer.next('subscribed')).id).toBe(2);
    },
  );

  test('is forbidden while Directus refuses all requests for lack of a licence, with an outcome of its own', async () => {
    using viewer = await open(eventId);
    fixture.directus.misbehave('unlicensed');
    viewer.send({ type: 'subscribe', topic });
    expect(await viewer.next('error')).toMatchObject({ code: 'forbidden' });
    const labels = { operation: 'authorize', outcome: 'restricted' };
    expect(await gateway.metric('live_auth_duration_seconds_count', labels)).toBe(1);
  });

  test('of a session that has ended since the upgrade closes the connection with 4001', async () => {
    const { session } = fixture.addViewer(eventId);
    using viewer = await connect(gateway.wsUrl, { session });
    fixture.directus.expireSession(session);
    viewer.send({ type: 'subscribe', topic });
    expect(await viewer.closed()).toBe(4001);
  });

  test('is confirmed once, and a second one to the same topic is refused', async () => {
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', id: 1, topic });
    viewer.send({ type: 'subscribe', id: 2, topic });
    expect(await viewer.next('error')).toMatchObject({ id: 2, code: 'already-subscribed' });
    expect((await viewer.next('subscribed')).id).toBe(1);
  });

  test('beyond the limit per connection is refused; those still being authorised count', async () => {
    const others = [await fixture.addEvent(0), await fixture.addEvent(0)].map((event) => event.eventId);
    using viewer = await open(eventId, ...others);
    for (const [id, each] of [eventId, ...others].entries()) {
      viewer.send({ type: 'subscribe', id, topic: `event:${each}` });
    }
    expect(await viewer.next('error')).toMatchObject({ id: 2, code: 'too-many-subscriptions' });
    await viewer.next('subscribed');
    await viewer.next('subscribed');
  });

  test('gets nothing more after unsubscribe', async () => {
    using viewer = await open(eventId);
    using other = await open(eventId);
    for (const each of [viewer, other]) {
      each.send({ type: 'subscribe', topic, maxHz: 20 });
      await each.next('subscribed');
    }
    await fixture.publish(fixOf(device));
    await viewer.next('position');
    viewer.send({ type: 'unsubscribe', id: 'bye', topic });
    expect(await viewer.next('unsubscribed')).toMatchObject({ topic, id: 'bye' });
    const lastFix = fixOf(device);
    await fixture.publish(lastFix);
    await other.next('position', (position) => position.ts === lastFix.fixAtMs);
    // The other viewer has been written to, so this tick has also passed for the unsubscribed one.
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    expect(
      viewer.messages.some((message) => message.type === 'position' && message.ts === lastFix.fixAtMs),
    ).toBe(false);
  });

  test('cancelled while it is being authorised is not registered, and each message gets one reply', async () => {
    using viewer = await open(eventId);
    fixture.directus.misbehave('slow', { slowMs: 200 });
    viewer.send({ type: 'subscribe', id: 'in', topic });
    viewer.send({ type: 'unsubscribe', id: 'out', topic });
    expect(await viewer.next('unsubscribed')).toMatchObject({ id: 'in' });
    expect(await viewer.next('unsubscribed')).toMatchObject({ id: 'out' });
    viewer.send({ type: 'subscribe', id: 'again', topic });
    expect((await viewer.next('subscribed')).id).toBe('again');
    expect(viewer.messages.filter(({ type }) => type === 'subscribed')).toHaveLength(1);
    expect(await gateway.metric('live_subscriptions')).toBe(1);
  });
});

test('no session, IMEI or coordinate appears in the log', () => {
  const output = gateway.output();
  expect(output).not.toContain('session.');
  expect(output).not.toContain(device.imei);
  expect(output).not.toMatch(/46\.5|8\.25/);
});
