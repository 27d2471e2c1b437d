import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fixOf, openFixture } from '../support/open-fixture.ts';
import type { TestDevice, Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

let world: Fixture;
let gateway: RunningGateway;
let eventId: string;
let topic: string;
let device: TestDevice;

beforeAll(async () => {
  world = await openFixture();
  const event = await world.addEvent(1);
  eventId = event.eventId;
  topic = `event:${eventId}`;
  const [first] = event.devices;
  if (first === undefined) throw new Error('no device');
  device = first;
  gateway = await world.start({
    env: {
      LIVE_MESSAGE_RATE_PER_S: '50',
      LIVE_MAX_SUBSCRIPTIONS: '2',
      DIRECTUS_AUTHZ_TIMEOUT_MS: '400',
      AUTHZ_CACHE_TTL_MS: '0',
    },
  });
  await gateway.ready();
});

afterAll(() => world[Symbol.asyncDispose]());

beforeEach(() => world.healDirectus());

async function open(...eventIds: readonly string[]): Promise<Viewer> {
  return connect(gateway.wsUrl, { session: world.addViewer(...eventIds).session });
}

describe('a message that is none', () => {
  test.each([
    ['no JSON', '{"type":', 'bad-message', undefined],
    ['no object', '[1]', 'bad-message', undefined],
    ['null', 'null', 'bad-message', undefined],
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
  ] as const)('(%s) is answered with what is wrong', async (_name, text, code, id) => {
    using viewer = await open();
    viewer.send(text);
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
  ])('(the event %j) is refused before Directus is asked anything', async (wrongId) => {
    using viewer = await open();
    const callsBefore = world.directus.calls.length;
    viewer.send({ type: 'subscribe', id: 1, topic: `event:${wrongId}` });
    expect(await viewer.next('error')).toMatchObject({ id: 1, code: 'unknown-topic', temporary: false });
    expect(world.directus.calls.length).toBe(callsBefore);
  });

  test('(binary, or longer than 4 KiB) closes the connection with 4400', async () => {
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

  test('(too many at once) is answered rate-limited with its id, and closed with 4005 if that does not help', async () => {
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
  test('to an event that the user may not see, or that there is not, is forbidden', async () => {
    using viewer = await open();
    viewer.send({ type: 'subscribe', id: 'a', topic });
    expect(await viewer.next('error')).toMatchObject({ id: 'a', code: 'forbidden', temporary: false });
    viewer.send({ type: 'subscribe', id: 'b', topic: `event:${randomUUID()}` });
    expect(await viewer.next('error')).toMatchObject({ id: 'b', code: 'forbidden' });
  });

  test.each(['429', '500', '503', 'hang', 'refuse', 'page', 'redirect'] as const)(
    'is unavailable for now while Directus answers %s, and the slot is free again',
    async (mode) => {
      using viewer = await open(eventId);
      world.directus.misbehave(mode);
      viewer.send({ type: 'subscribe', id: 1, topic });
      const error = await viewer.next('error');
      expect(error).toMatchObject({ id: 1, code: 'unavailable', temporary: true });
      expect(error.retryAfterMs).toBeGreaterThan(0);
      await world.healDirectus();
      viewer.send({ type: 'subscribe', id: 2, topic });
      expect((await viewer.next('subscribed')).id).toBe(2);
    },
  );

  test('where Directus refuses everybody for want of a licence is forbidden, and counted apart', async () => {
    using viewer = await open(eventId);
    world.directus.misbehave('unlicensed');
    viewer.send({ type: 'subscribe', topic });
    expect(await viewer.next('error')).toMatchObject({ code: 'forbidden' });
    const labels = { operation: 'authorize', outcome: 'restricted' };
    expect(await gateway.metric('live_auth_duration_seconds_count', labels)).toBe(1);
  });

  test('of a session that has ended since the upgrade closes the connection with 4001', async () => {
    const { session } = world.addViewer(eventId);
    using viewer = await connect(gateway.wsUrl, { session });
    world.directus.expireSession(session);
    viewer.send({ type: 'subscribe', topic });
    expect(await viewer.closed()).toBe(4001);
  });

  test('is answered once, and a second one to the same topic is refused', async () => {
    using viewer = await open(eventId);
    viewer.send({ type: 'subscribe', id: 1, topic });
    viewer.send({ type: 'subscribe', id: 2, topic });
    expect(await viewer.next('error')).toMatchObject({ id: 2, code: 'already-subscribed' });
    expect((await viewer.next('subscribed')).id).toBe(1);
  });

  test('beyond the limit of a connection is refused, those still being authorised included', async () => {
    const others = [await world.addEvent(0), await world.addEvent(0)].map((event) => event.eventId);
    using viewer = await open(eventId, ...others);
    for (const [id, each] of [eventId, ...others].entries()) {
      viewer.send({ type: 'subscribe', id, topic: `event:${each}` });
    }
    expect(await viewer.next('error')).toMatchObject({ id: 2, code: 'too-many-subscriptions' });
    await viewer.next('subscribed');
    await viewer.next('subscribed');
  });

  test('ends with unsubscribe: what comes later is not sent any more', async () => {
    using viewer = await open(eventId);
    using witness = await open(eventId);
    for (const each of [viewer, witness]) {
      each.send({ type: 'subscribe', topic, maxHz: 20 });
      await each.next('subscribed');
    }
    await world.publish(fixOf(device));
    await viewer.next('position');
    viewer.send({ type: 'unsubscribe', id: 'bye', topic });
    expect(await viewer.next('unsubscribed')).toMatchObject({ topic, id: 'bye' });
    const lastFix = fixOf(device);
    await world.publish(lastFix);
    await witness.next('position', (position) => position.ts === lastFix.fixAtMs);
    // The witness was served in the same tick or later: what it has, the other would have.
    viewer.send({ type: 'ping' });
    await viewer.next('pong');
    expect(
      viewer.messages.some((message) => message.type === 'position' && message.ts === lastFix.fixAtMs),
    ).toBe(false);
  });

  test('given up while it is being authorised is not made, and both messages get their one reply', async () => {
    using viewer = await open(eventId);
    world.directus.misbehave('slow', { slowMs: 200 });
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

test('nothing that a client or Directus says ends up in the log', () => {
  const output = gateway.output();
  expect(output).not.toContain('session.');
  expect(output).not.toContain(device.imei);
  expect(output).not.toMatch(/46\.5|8\.25/);
});
