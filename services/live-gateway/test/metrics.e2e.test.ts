import { once } from 'node:events';
import { encodeFields } from '@app/shared/entry';
import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { eventually } from '@app/test-kit/eventually';
import { MetricsSeen, whatIsMissing } from '@app/test-kit/metrics-seen';
import { readMetric } from '@app/test-kit/read-metric';
import { expect, test } from 'vitest';
import { requestUpgrade } from './support/request-upgrade.ts';
import { fixOf, newDevice, openFixture } from './support/open-fixture.ts';
import type { TestDevice, Fixture } from './support/open-fixture.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import { connect, connectBatched, tryConnect } from './support/viewer.ts';
import type { Handshake, Viewer } from './support/viewer.ts';

/** A gateway that is tried in every way, and what its metrics have said at any time. */
interface Tried {
  readonly world: Fixture;
  readonly gateway: RunningGateway;
  readonly eventId: string;
  readonly topic: string;
  readonly devices: readonly TestDevice[];
  readonly seen: MetricsSeen;
  readonly look: () => Promise<void>;
}

test('every documented metric moves when the gateway is driven', { timeout: 120_000 }, async () => {
  await using world = await openFixture();
  const { eventId, devices } = await world.addEvent(2);
  const env = {
    DIRECTUS_AUTH_TIMEOUT_MS: '1000',
    DIRECTUS_AUTHZ_TIMEOUT_MS: '1000',
    AUTHZ_CACHE_TTL_MS: '1000',
    REAUTHORIZE_INTERVAL_MS: '300',
    REAUTHORIZE_GRACE_MS: '1500',
    LIVE_MAX_CONNECTIONS_PER_USER: '2',
    LIVE_MAX_SUBSCRIPTIONS: '2',
    LIVE_WS_PING_INTERVAL_MS: '2000',
    LIVE_MESSAGE_RATE_PER_S: '20',
    LIVE_BROADCAST_BATCH_SIZE: '1',
    LIVE_UNANSWERED_BYTES: '4096',
    LIVE_WS_DRAIN_NOTICE_MS: '2000',
    LIVE_WS_DRAIN_TIMEOUT_MS: '1000',
  };
  const gateway = await world.start({ env });
  await gateway.ready();
  const seen = new MetricsSeen('live_');
  const look = async (): Promise<void> => {
    seen.add(await (await fetch(`${gateway.opsUrl}/metrics`)).text());
  };
  const tried = { world, gateway, eventId, topic: `event:${eventId}`, devices, seen, look };
  await driveUpgrades(tried);
  await driveMessages(tried);
  await drivePositions(tried);
  await stall(tried);
  await driveCloses(tried);
  await driveReauthorisation(tried);
  await driveAnother(tried);
  await driveStop(tried);

  const documented = await documentedMetrics('Live gateway', 'live_');
  const missing = documented.flatMap((metric) => whatIsMissing(metric, seen.text));
  // The one that must never move.
  expect(missing).toEqual(['live_dropped_frames_total was never moved']);

  // The exact ones.
  expect(readMetric(seen.text, 'live_upgrades_total', { result: 'aborted' })).toBe(1);
  expect(readMetric(seen.text, 'live_upgrades_total', { result: 'full' })).toBe(1);
  expect(readMetric(seen.text, 'live_closes_total', { code: '4403' })).toBe(2);
  expect(readMetric(seen.text, 'live_closes_total', { code: 'other' })).toBe(1);
  expect(readMetric(seen.text, 'live_messages_received_total', { type: 'update' })).toBe(1);
});

async function open({ world, gateway, eventId }: Tried, handshake: Handshake = {}): Promise<Viewer> {
  return connect(gateway.wsUrl, { session: world.addViewer(eventId).session, ...handshake });
}

async function watch(tried: Tried, session = tried.world.addViewer(tried.eventId).session): Promise<Viewer> {
  const viewer = await open(tried, { session });
  viewer.send({ type: 'subscribe', topic: tried.topic, maxHz: 20 });
  await viewer.next('subscribed');
  return viewer;
}

/** Requests to upgrade, each way to refuse one, and each way in which Directus can fail to answer. */
async function driveUpgrades(tried: Tried): Promise<void> {
  const { world, gateway } = tried;
  const { session } = world.addViewer();
  const statusOf = async (handshake: Handshake): Promise<number> => {
    const outcome = await tryConnect(gateway.wsUrl, handshake);
    if ('status' in outcome) return outcome.status;
    outcome.socket.close();
    await outcome.closed();
    return 101;
  };
  expect(await statusOf({})).toBe(401);
  expect(await statusOf({ session: 'unknown' })).toBe(401);
  expect(await statusOf({ session, origin: 'https://evil.example.org' })).toBe(403);
  const cookie = `directus_session_token=${session}`;
  const [response] = await once(requestUpgrade(gateway.wsUrl, { connection: 'close', cookie }), 'response');
  expect(response).toMatchObject({ statusCode: 400 });
  for (const mode of ['429', '500', 'hang', 'refuse', 'page'] as const) {
    world.directus.misbehave(mode);
    expect(await statusOf({ session })).toBe(503);
    await world.healDirectus();
  }
  // More questions than may be asked at once; those whose turn does not come in time are told so.
  world.directus.misbehave('hang');
  await eventually(
    async () => {
      const sessions = Array.from({ length: 100 }, () => world.addViewer().session);
      await Promise.all(sessions.map((each) => statusOf({ session: each })));
      const labels = { operation: 'authenticate', outcome: 'overloaded' };
      return (await gateway.metric('live_auth_duration_seconds_count', labels)) > 0;
    },
    { timeoutMs: 30_000 },
  );
  await world.healDirectus();
  // Many at a time with one session, later again, and one who leaves before the answer.
  world.directus.misbehave('slow', { slowMs: 100 });
  await Promise.all([statusOf({ session }), statusOf({ session })]);
  await statusOf({ session });
  const callsBefore = world.directus.calls.length;
  const newCookie = `directus_session_token=${world.addViewer().session}`;
  const leaver = requestUpgrade(gateway.wsUrl, { cookie: newCookie });
  await eventually(() => world.directus.calls.length > callsBefore);
  leaver.destroy();
  await eventually(async () => (await gateway.metric('live_upgrades_total', { result: 'aborted' })) > 0);
  await world.healDirectus();
  await tried.look();
}

/** Everything that a client can say, right and wrong. */
async function driveMessages(tried: Tried): Promise<void> {
  const { world, topic } = tried;
  using viewer = await watch(tried);
  using returning = await connectBatched(tried.gateway.wsUrl, {
    session: world.addViewer(tried.eventId).session,
  });
  returning.send({ type: 'subscribe', topic, cursor: 'none', epoch: 'none' });
  await returning.next('snapshot');
  const other = await world.addEvent(0);
  for (const message of [
    { type: 'ping' },
    { type: 'unsubscribe', topic },
    { type: 'update', topic, maxHz: 1 },
    { type: 'dance' },
    { type: 'subscribe', topic: 'event:none' },
    { type: 'subscribe', topic: `event:${other.eventId}` },
    { type: 'subscribe', topic, bbox: [1, 2] },
    'no JSON',
  ]) {
    viewer.send(message);
  }
  await eventually(() => viewer.messages.filter(({ type }) => type === 'error').length >= 5);
  for (let n = 0; n < 150; n += 1) viewer.send({ type: 'ping' });
  await viewer.next('error', ({ code }) => code === 'rate-limited');
  await viewer.closed();
  // Where Directus refuses everybody for want of a licence.
  using refused = await open(tried);
  world.directus.misbehave('unlicensed');
  refused.send({ type: 'subscribe', topic });
  await refused.next('error');
  await world.healDirectus();
  await tried.look();
}

/** Every kind of entry of the stream, faster than they can be read and shown, and a client that does not read. */
async function drivePositions(tried: Tried): Promise<void> {
  const { world, seen, look, devices } = tried;
  const [device, other] = devices;
  if (device === undefined || other === undefined) throw new Error('no devices');
  using viewer = await watch(tried);
  const first = fixOf(device);
  for (const fix of [first, first, fixOf(other, { satellites: 0 }), fixOf(newDevice())])
    await world.publish(fix);
  await world.redis.xadd(world.stream, '*', 'not', 'a record');
  await viewer.next('position');
  using late = await watch(tried);
  expect(late.socket.readyState).toBe(late.socket.OPEN);
  await eventually(
    async () => {
      const pipeline = world.redis.pipeline();
      const fromMs = Date.now();
      for (let n = 0; n < 5_000; n += 1) {
        const position = fixOf(device, { fixAtMs: fromMs + n });
        pipeline.xadd(world.stream, '*', ...encodeFields({ position, codec: '8E' }));
      }
      await pipeline.exec();
      await eventually(
        async () => {
          await look();
          return (readMetric(seen.text, 'live_stream_lag_seconds') ?? 0) > 0;
        },
        { timeoutMs: 3_000 },
      );
      return true;
    },
    { timeoutMs: 30_000 },
  );
}

/** A client that reads nothing, until it counts as lagging. */
async function stall(tried: Tried): Promise<void> {
  const { world, seen, look, devices } = tried;
  using stalled = await watch(tried);
  stalled.socket.pause();
  await eventually(
    async () => {
      for (const device of devices) await world.publish(fixOf(device));
      await look();
      return (readMetric(seen.text, 'live_lagging_connections') ?? 0) > 0;
    },
    { timeoutMs: 20_000 },
  );
}

/** Connections that end in each way: what the gateway closes, and what the client does. */
async function driveCloses(tried: Tried): Promise<void> {
  const { world, gateway, look, eventId } = tried;
  for (const code of [1000, 1001, 4000, 4002, 4999]) {
    const viewer = await open(tried);
    viewer.socket.close(code);
    await viewer.closed();
  }
  const without = await open(tried);
  without.socket.close();
  await without.closed();
  (await open(tried)).socket.terminate();
  const binary = await open(tried);
  binary.socket.send(Buffer.from('{}'));
  expect(await binary.closed()).toBe(4400);
  const { session } = world.addViewer(eventId);
  const many = [];
  for (let n = 0; n < 4; n += 1) many.push(await open(tried, { session }));
  for (const viewer of many) viewer[Symbol.dispose]();
  const dead = await open(tried, { answersPings: false });
  expect(await dead.closed(15_000)).toBe(4003);
  await eventually(async () => (await gateway.metric('live_closes_total', { code: '1006' })) > 0);
  await look();
}

/** Subscriptions that are confirmed, withdrawn, ended, kept for a while, and given up. */
async function driveReauthorisation(tried: Tried): Promise<void> {
  const { world, gateway, look, eventId } = tried;
  const withdrawn = world.addViewer(eventId);
  const ended = world.addViewer(eventId);
  using staying = await watch(tried);
  using leaving = await watch(tried, withdrawn.session);
  using ending = await watch(tried, ended.session);
  await eventually(
    async () => (await gateway.metric('live_reauthorizations_total', { outcome: 'allowed' })) > 0,
  );
  world.directus.forbid(withdrawn.userId, eventId);
  world.directus.expireSession(ended.session);
  await leaving.next('unsubscribed');
  expect(await ending.closed()).toBe(4001);
  world.directus.misbehave('503');
  await eventually(
    async () => {
      await look();
      return staying.socket.readyState === staying.socket.CLOSED;
    },
    { timeoutMs: 15_000 },
  );
  await world.healDirectus();
  await look();
}

/** What takes a gateway with other settings: it is full, and its Directus is not where it should be. */
async function driveAnother({ world, seen, eventId }: Tried): Promise<void> {
  const lost = await world.start({ instanceId: 'lost', directusUrl: `${world.directus.url}/elsewhere` });
  expect(await tryConnect(lost.wsUrl, { session: world.addViewer().session })).toMatchObject({ status: 503 });
  const full = await world.start({
    instanceId: 'full',
    env: { LIVE_MAX_CONNECTIONS: '1', LIVE_PLAIN_DIALECT: 'off' },
  });
  const { session } = world.addViewer(eventId);
  expect(await tryConnect(full.wsUrl, { session })).toMatchObject({ status: 400 });
  using viewer = await connectBatched(full.wsUrl, { session });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
  expect(await tryConnect(full.wsUrl, {})).toMatchObject({ status: 503 });
  for (const { opsUrl } of [lost, full]) seen.add(await (await fetch(`${opsUrl}/metrics`)).text());
  await Promise.all([lost.kill(), full.kill()]);
}

/** The stop: who comes is refused, who is there is sent away. */
async function driveStop(tried: Tried): Promise<void> {
  const { gateway, look } = tried;
  const viewers = await Promise.all(Array.from({ length: 5 }, () => watch(tried)));
  const closed = Promise.all(viewers.map(({ socket }) => once(socket, 'close')));
  const exitCode = gateway.stop();
  await eventually(async () => (await fetch(`${gateway.opsUrl}/readyz`)).status === 503);
  expect(await tryConnect(gateway.wsUrl, {})).toMatchObject({ status: 503 });
  let isOver = false;
  void closed.then(() => (isOver = true));
  await eventually(
    async () => {
      // The last one closes, and the gateway is gone.
      await look().catch(() => undefined);
      return isOver;
    },
    { timeoutMs: 15_000 },
  );
  expect(await exitCode).toBe(0);
}
