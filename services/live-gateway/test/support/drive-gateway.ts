import { once } from 'node:events';
import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import type { MetricsSeen } from '@app/test-kit/metrics-seen';
import { readMetric } from '@app/test-kit/read-metric';
import { writeRevision } from '@app/test-kit/result-rows';
import { shiftDate, shiftPostgresClock } from '@app/test-kit/shift-clocks';
import { expect } from 'vitest';
import { untilRevision } from './held-results.ts';
import { requestUpgrade } from './request-upgrade.ts';
import { deviceAt, fixOf, newDevice } from './open-fixture.ts';
import type { TestDevice, Fixture } from './open-fixture.ts';
import { testOrigin } from './start-gateway.ts';
import type { RunningGateway } from './start-gateway.ts';
import { connect, connectBatched, tryConnect } from './viewer.ts';
import type { Handshake, Viewer } from './viewer.ts';

/** The gateway under test, and the largest value of each metric so far. */
interface Driven {
  readonly fixture: Fixture;
  readonly gateway: RunningGateway;
  readonly eventId: string;
  readonly topic: string;
  readonly devices: readonly TestDevice[];
  readonly seen: MetricsSeen;
  readonly scrape: () => Promise<void>;
}

/** Uses the gateway in every way that changes a metric, and stops it. */
export async function driveGateway(driven: Driven): Promise<void> {
  await driveUpgrades(driven);
  await driveMessages(driven);
  await driveHandover(driven);
  await drivePositions(driven);
  await driveResults(driven);
  await driveLagging(driven);
  await driveCloses(driven);
  await driveReauthorisation(driven);
  await driveOtherSettings(driven);
  await driveClocks(driven);
  await driveStop(driven);
}

async function open({ fixture, gateway, eventId }: Driven, handshake: Handshake = {}): Promise<Viewer> {
  return connect(gateway.wsUrl, { session: fixture.addViewer(eventId).session, ...handshake });
}

async function watch(
  driven: Driven,
  session = driven.fixture.addViewer(driven.eventId).session,
): Promise<Viewer> {
  const viewer = await open(driven, { session });
  viewer.send({ type: 'subscribe', topic: driven.topic, maxHz: 20 });
  await viewer.next('subscribed');
  return viewer;
}

/** Upgrade requests with every result, and every way in which Directus can fail. */
async function driveUpgrades(driven: Driven): Promise<void> {
  const { fixture, gateway } = driven;
  const { session } = fixture.addViewer();
  const statusOf = async (handshake: Handshake): Promise<number> => {
    const outcome = await tryConnect(gateway.wsUrl, handshake);
    if ('status' in outcome) return outcome.status;
    outcome.socket.close();
    await outcome.closed();
    return 101;
  };
  expect(await statusOf({ session: 'not a cookie value' })).toBe(401);
  expect(await statusOf({ session: 'unknown' })).toBe(401);
  expect(await statusOf({ session, origin: 'https://evil.example.org' })).toBe(403);
  const cookie = `directus_session_token=${session}`;
  const [response] = await once(requestUpgrade(gateway.wsUrl, { connection: 'close', cookie }), 'response');
  expect(response).toMatchObject({ statusCode: 400 });
  for (const mode of ['429', '500', 'hang', 'refuse', 'page'] as const) {
    fixture.directus.misbehave(mode);
    expect(await statusOf({ session })).toBe(503);
    await fixture.healDirectus();
  }
  // More requests than Directus is sent at once: some time out in the queue.
  fixture.directus.misbehave('hang');
  await eventually(
    async () => {
      const sessions = Array.from({ length: 100 }, () => fixture.addViewer().session);
      await Promise.all(sessions.map((each) => statusOf({ session: each })));
      const labels = { operation: 'authenticate', outcome: 'overloaded' };
      return (await gateway.metric('live_auth_duration_seconds_count', labels)) > 0;
    },
    { timeoutMs: 30_000 },
  );
  await fixture.healDirectus();
  // Concurrent and repeated requests with one session, and a client that disconnects before the response.
  fixture.directus.misbehave('slow', { slowMs: 100 });
  await Promise.all([statusOf({ session }), statusOf({ session })]);
  await statusOf({ session });
  const callsBefore = fixture.directus.calls.length;
  const newCookie = `directus_session_token=${fixture.addViewer().session}`;
  const aborted = requestUpgrade(gateway.wsUrl, { cookie: newCookie });
  await eventually(() => fixture.directus.calls.length > callsBefore);
  aborted.destroy();
  await eventually(async () => (await gateway.metric('live_upgrades_total', { result: 'aborted' })) > 0);
  await fixture.healDirectus();
  expect(await statusOf({ headers: { 'x-forwarded-for': '198.51.100.7' } })).toBe(101);
  const { userId } = fixture.addViewer();
  fixture.directus.addStaticToken('a-static-token', userId);
  expect(await statusOf({ headers: { authorization: 'Bearer a-static-token' } })).toBe(101);
  // A suspended user, and one whose status cannot be read.
  const suspended = fixture.addViewer();
  await fixture.sql`insert into directus_users (id, status) values (${suspended.userId}, 'suspended')`;
  expect(await statusOf(suspended)).toBe(401);
  await fixture.sql`alter table directus_users rename to directus_users_away`;
  expect(await statusOf({ session })).toBe(101);
  await fixture.sql`alter table directus_users_away rename to directus_users`;
  await driven.scrape();
}

/** Every type of client message, valid and invalid. */
async function driveMessages(driven: Driven): Promise<void> {
  const { fixture, topic } = driven;
  using viewer = await watch(driven);
  using resuming = await connectBatched(driven.gateway.wsUrl, {
    session: fixture.addViewer(driven.eventId).session,
  });
  resuming.send({ type: 'subscribe', topic, cursor: 'none', epoch: 'none' });
  await resuming.next('snapshot');
  const other = await fixture.addEvent(0);
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
  // Without a licence Directus refuses every request.
  using refused = await open(driven);
  fixture.directus.misbehave('unlicensed');
  refused.send({ type: 'subscribe', topic });
  await refused.next('error');
  await fixture.healDirectus();
  await driven.scrape();
}

/** Sessions handed over with every outcome. */
async function driveHandover({ fixture, gateway, eventId, scrape }: Driven): Promise<void> {
  const { session } = fixture.addViewer(eventId);
  using viewer = await connectBatched(gateway.wsUrl, { session });
  const { connection } = await viewer.next('hello');
  const handOver = async (cookie: string): Promise<void> => {
    const response = await fetch(`${gateway.wsUrl.replace('ws:', 'http:')}?connection=${connection}`, {
      method: 'POST',
      headers: { origin: testOrigin, cookie: `directus_session_token=${cookie}` },
    });
    const { ticket } = JSON.parse(await response.text());
    viewer.send({ type: 'reauthenticate', ticket });
  };
  await handOver(session);
  await viewer.next('reauthenticated');
  viewer.send({ type: 'reauthenticate', ticket: 'none' });
  for (const cookie of ['unknown', fixture.addViewer(eventId).session]) await handOver(cookie);
  for (let n = 0; n < 3; n += 1) await viewer.next('error', ({ code }) => code === 'bad-session');
  fixture.directus.misbehave('503');
  await handOver(fixture.addViewer(eventId).session);
  await viewer.next('error', ({ code }) => code === 'unavailable');
  await fixture.healDirectus();
  await scrape();
}

/** Every kind of stream entry, and more entries than the gateway can read at once. */
async function drivePositions(driven: Driven): Promise<void> {
  const { fixture, seen, scrape, devices } = driven;
  const device = deviceAt(devices, 0);
  const other = deviceAt(devices, 1);
  using viewer = await watch(driven);
  const first = fixOf(device);
  for (const fix of [first, first, fixOf(other, { satellites: 0 }), fixOf(newDevice())])
    await fixture.publish(fix);
  await fixture.redis.xadd(fixture.stream, '*', 'not', 'a record');
  await viewer.next('position');
  using late = await watch(driven);
  expect(late.socket.readyState).toBe(late.socket.OPEN);
  await eventually(
    async () => {
      const pipeline = fixture.redis.pipeline();
      const fromMs = Date.now();
      for (let n = 0; n < 5_000; n += 1) {
        const position = fixOf(device, { fixAtMs: fromMs + n });
        pipeline.xadd(fixture.stream, '*', ...encodeFields({ position, codec: '8E' }));
      }
      await pipeline.exec();
      await eventually(
        async () => {
          await scrape();
          return (readMetric(seen.text, 'live_stream_lag_seconds') ?? 0) > 0;
        },
        { timeoutMs: 3_000 },
      );
      return true;
    },
    { timeoutMs: 30_000 },
  );
}

/** A client that does not read, until it counts as lagging. */
async function driveResults({ fixture, gateway, eventId, scrape }: Driven): Promise<void> {
  const topic = `results:${eventId}`;
  const write = (announced: 'with changes' | 'without changes' | 'not') =>
    writeRevision(fixture, eventId, { announced });
  const subscribe = async (cursor?: string) => {
    const viewer = await connectBatched(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic, ...(cursor !== undefined && { cursor }) });
    return viewer;
  };
  await fixture.sql`alter table passings rename to passings_away`;
  using refused = await subscribe();
  await refused.next('error');
  await fixture.sql`alter table passings_away rename to passings`;
  const retried = { reason: 'retry', outcome: 'read' };
  await eventually(async () => (await gateway.metric('live_results_reads_total', retried)) > 0, {
    timeoutMs: 15_000,
  });
  using viewer = await subscribe();
  await untilRevision(viewer, topic, 0);
  for (const announced of ['with changes', 'without changes', 'not'] as const) {
    await untilRevision(viewer, topic, await write(announced));
  }
  // A client resumes from a revision that the gateway does not know of.
  await eventually(
    async () => {
      using ahead = await subscribe('99999.0.public');
      await ahead.next('results');
      return (await gateway.metric('live_results_reads_total', { reason: 'cursor' })) > 0;
    },
    { timeoutMs: 30_000, intervalMs: 500 },
  );
  const other = await fixture.addEvent(0);
  using first = await connectBatched(gateway.wsUrl, { session: fixture.addViewer(other.eventId).session });
  first.send({ type: 'subscribe', topic: `results:${other.eventId}` });
  await first.next('results');
  await scrape();
}

async function driveLagging(driven: Driven): Promise<void> {
  const { fixture, seen, scrape, devices } = driven;
  using stalled = await watch(driven);
  stalled.socket.pause();
  await eventually(
    async () => {
      for (const device of devices) await fixture.publish(fixOf(device));
      await scrape();
      return (readMetric(seen.text, 'live_lagging_connections') ?? 0) > 0;
    },
    { timeoutMs: 20_000 },
  );
}

/** Closes with every code, by the gateway and by the client. */
async function driveCloses(driven: Driven): Promise<void> {
  const { fixture, gateway, scrape, eventId } = driven;
  for (const code of [1000, 1001, 4000, 4002, 4999]) {
    const viewer = await open(driven);
    viewer.socket.close(code);
    await viewer.closed();
  }
  const withoutCode = await open(driven);
  withoutCode.socket.close();
  await withoutCode.closed();
  (await open(driven)).socket.terminate();
  const binary = await open(driven);
  binary.socket.send(Buffer.from('{}'));
  expect(await binary.closed()).toBe(4400);
  const { session } = fixture.addViewer(eventId);
  const viewers = [];
  for (let n = 0; n < 4; n += 1) viewers.push(await open(driven, { session }));
  for (const viewer of viewers) viewer[Symbol.dispose]();
  const unresponsive = await open(driven, { answersPings: false });
  expect(await unresponsive.closed(15_000)).toBe(4003);
  await eventually(async () => (await gateway.metric('live_closes_total', { code: '1006' })) > 0);
  await scrape();
}

/** Re-authorisations with every outcome. */
async function driveReauthorisation(driven: Driven): Promise<void> {
  const { fixture, gateway, scrape, eventId } = driven;
  const withdrawn = fixture.addViewer(eventId);
  const ended = fixture.addViewer(eventId);
  using staying = await watch(driven);
  using forbidden = await watch(driven, withdrawn.session);
  using loggedOut = await watch(driven, ended.session);
  await eventually(
    async () => (await gateway.metric('live_reauthorizations_total', { outcome: 'allowed' })) > 0,
  );
  fixture.directus.forbid(withdrawn.userId, eventId);
  fixture.directus.expireSession(ended.session);
  await forbidden.next('unsubscribed');
  expect(await loggedOut.closed()).toBe(4001);
  fixture.directus.misbehave('503');
  await eventually(
    async () => {
      await scrape();
      return staying.socket.readyState === staying.socket.CLOSED;
    },
    { timeoutMs: 15_000 },
  );
  await fixture.healDirectus();
  await scrape();
}

/** Results that need other gateways: a full one, one with a wrong Directus URL, one with planted bugs. */
async function driveOtherSettings({ fixture, seen, eventId }: Driven): Promise<void> {
  const misconfigured = await fixture.start({
    instanceId: 'misconfigured',
    directusUrl: `${fixture.directus.url}/elsewhere`,
  });
  expect(await tryConnect(misconfigured.wsUrl, { session: fixture.addViewer().session })).toMatchObject({
    status: 503,
  });
  const full = await fixture.start({
    instanceId: 'full',
    env: { LIVE_MAX_CONNECTIONS: '1', LIVE_PLAIN_DIALECT: 'off' },
  });
  const { session } = fixture.addViewer(eventId);
  expect(await tryConnect(full.wsUrl, { session })).toMatchObject({ status: 400 });
  using viewer = await connectBatched(full.wsUrl, { session });
  expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
  expect(await tryConnect(full.wsUrl, {})).toMatchObject({ status: 503 });
  const [refused, closed] = [fixture.addViewer(), fixture.addViewer()];
  const faulty = await fixture.start({
    instanceId: 'faulty',
    preload: new URL('planted-bugs.ts', import.meta.url),
    env: { PLANTED_BUGS: JSON.stringify({ upgrade: refused.session, open: closed.userId }) },
  });
  expect(await tryConnect(faulty.wsUrl, refused)).toMatchObject({ status: 500 });
  expect(await (await connect(faulty.wsUrl, closed)).closed()).toBe(1011);
  for (const { opsUrl } of [misconfigured, full, faulty])
    seen.add(await (await fetch(`${opsUrl}/metrics`)).text());
  await Promise.all([misconfigured.kill(), full.kill(), faulty.kill()]);
}

/** Each of the three clocks an hour ahead of the other two. */
async function driveClocks({ fixture, seen }: Driven): Promise<void> {
  const hourMs = 3_600_000;
  for (const [gatewayMs, postgresMs] of [
    [hourMs, 0],
    [0, hourMs],
    [-hourMs, -hourMs],
  ] as const) {
    await shiftPostgresClock(fixture.sql, postgresMs);
    const gateway = await fixture.start({
      instanceId: 'clocks',
      preload: shiftDate,
      env: { SHIFT_DATE_MS: String(gatewayMs) },
    });
    await gateway.ready();
    seen.add(await (await fetch(`${gateway.opsUrl}/metrics`)).text());
    await gateway.kill();
  }
}

/** Shutdown: upgrades are refused, connections closed. */
async function driveStop(driven: Driven): Promise<void> {
  const { gateway, scrape } = driven;
  const viewers = await Promise.all(Array.from({ length: 5 }, () => watch(driven)));
  const closed = Promise.all(viewers.map(({ socket }) => once(socket, 'close')));
  const exitCode = gateway.stop();
  await eventually(async () => (await fetch(`${gateway.opsUrl}/readyz`)).status === 503);
  expect(await tryConnect(gateway.wsUrl, {})).toMatchObject({ status: 503 });
  let haveAllClosed = false;
  void closed.then(() => (haveAllClosed = true));
  await eventually(
    async () => {
      // Fails once the last connection is closed and the gateway has exited.
      await scrape().catch(() => undefined);
      return haveAllClosed;
    },
    { timeoutMs: 15_000 },
  );
  expect(await exitCode).toBe(0);
}
