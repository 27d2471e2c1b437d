import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startTraceReceiver } from '@app/test-kit/trace-receiver';
import { expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from '../support/open-fixture.ts';
import { testOrigin } from '../support/start-gateway.ts';
import { connect, connectBatched, tryConnect } from '../support/viewer.ts';
import type { Viewer } from '../support/viewer.ts';

/** Part of every session cookie in this test. */
const secret = `secret${randomUUID()}`;
const modes = [
  'ok',
  'slow',
  '429',
  '500',
  '503',
  'unlicensed',
  'hang',
  'refuse',
  'page',
  'redirect',
] as const;

test('no session cookie or token appears in a log line, metric, trace, reply or close reason, whatever fails', async () => {
  await using fixture = await openFixture();
  await using postgres = await startFaultyNetwork({ target: fixture.postgresUrl });
  await using collector = await startTraceReceiver();
  const { eventId, devices } = await fixture.addEvent(1);
  const topic = `event:${eventId}`;
  const gateway = await fixture.start({
    postgresUrl: postgres.through(fixture.postgresUrl),
    env: {
      LOG_LEVEL: 'trace',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      TRACE_SAMPLE_RATIO: '1',
      DIRECTUS_AUTH_TIMEOUT_MS: '1000',
      DIRECTUS_AUTHZ_TIMEOUT_MS: '1000',
      AUTHZ_CACHE_TTL_MS: '0',
      REAUTHORIZE_INTERVAL_MS: '200',
      REAUTHORIZE_GRACE_MS: '500',
      LIVE_MAX_CONNECTIONS_PER_USER: '2',
      LIVE_BEARER_TOKENS: 'on',
      LIVE_TICKET_KEY: `key of ${secret}`,
    },
  });
  await gateway.ready();
  /** Responses, close reasons, metrics and traces. */
  const observed: string[] = [];
  const viewers: Viewer[] = [];
  let sessions = 0;
  const addUser = (): string => {
    sessions += 1;
    const session = `${secret}.${sessions}`;
    const userId = randomUUID();
    fixture.directus.addSession(session, userId);
    fixture.directus.allow(userId, eventId);
    return session;
  };
  const open = async (session: string): Promise<Viewer> => {
    const viewer = await connect(gateway.wsUrl, { session });
    viewers.push(viewer);
    viewer.socket.on('close', (code, reason) => observed.push(`${code} ${reason.toString()}`));
    return viewer;
  };

  const staticToken = `${secret}.static`;
  const tokenUser = randomUUID();
  fixture.directus.addStaticToken(staticToken, tokenUser);
  fixture.directus.allow(tokenUser, eventId);
  const program = await connect(gateway.wsUrl, { headers: { authorization: `Bearer ${staticToken}` } });
  viewers.push(program);
  program.send({ type: 'subscribe', topic });
  await program.next('subscribed');

  for (const mode of modes) {
    await fixture.healDirectus();
    const subscribed = await open(addUser());
    subscribed.send({ type: 'subscribe', topic });
    await subscribed.next('subscribed');
    const connected = await open(addUser());
    const newSession = addUser();
    const checkedBefore = await gateway.metric('live_reauthorizations_total');
    fixture.directus.misbehave(mode, { slowMs: 100 });
    // A new connection, a new subscription and a recheck of an existing one.
    const base = gateway.wsUrl.replace('ws:', 'http:');
    const cookie = `theme=dark; directus_session_token=${newSession}`;
    observed.push(inspect(await tryConnect(gateway.wsUrl, { session: newSession })));
    for (const token of [staticToken, `${secret}.unknown`, `${secret} malformed`]) {
      const headers = { authorization: `Bearer ${token}` };
      observed.push(inspect(await tryConnect(gateway.wsUrl, { headers })));
    }
    observed.push(await (await fetch(base, { headers: { cookie, origin: testOrigin } })).text());
    connected.send({ type: 'subscribe', id: 'mine', topic });
    await eventually(() => connected.messages.some((message) => 'id' in message && message.id === 'mine'));
    await eventually(async () => (await gateway.metric('live_reauthorizations_total')) > checkedBefore);
  }
  await fixture.healDirectus();

  // Shared, foreign, unknown, malformed and expired sessions.
  fixture.directus.addShareToken(`${secret}.share`);
  fixture.directus.addForeignSession(`${secret}.foreign`);
  for (const cookieValue of [
    '.share',
    '.foreign',
    '.unknown',
    ' with a space',
    '"quoted',
    '\u00e9'.repeat(3),
  ]) {
    observed.push(inspect(await tryConnect(gateway.wsUrl, { session: `${secret}${cookieValue}` })));
  }
  const ended = addUser();
  const viewer = await open(ended);
  fixture.directus.expireSession(ended);
  viewer.send({ type: 'subscribe', topic });
  expect(await viewer.closed()).toBe(4001);
  // A session handed over: the page gets a ticket of it.
  const refreshed = addUser();
  const handing = await connectBatched(gateway.wsUrl, { session: refreshed });
  const { connection } = await handing.next('hello');
  const ticketUrl = `${gateway.wsUrl.replace('ws:', 'http:')}?connection=${connection}`;
  for (const session of [refreshed, addUser()]) {
    const headers = { origin: testOrigin, cookie: `directus_session_token=${session}` };
    const answer = await (await fetch(ticketUrl, { method: 'POST', headers })).text();
    observed.push(answer, Buffer.from(answer.split('"')[3] ?? '', 'base64url').toString('latin1'));
    handing.send({ type: 'reauthenticate', ticket: JSON.parse(answer).ticket });
  }
  await handing.next('reauthenticated');
  await handing.next('error');
  observed.push(JSON.stringify(handing.messages));
  handing[Symbol.dispose]();
  // A client that sends its cookie in messages, and too many connections of one user.
  const leakingClient = await open(addUser());
  leakingClient.send({ type: secret, id: secret.slice(0, 40), topic: secret });
  leakingClient.send(`not JSON ${secret}`);
  leakingClient.send({ type: 'subscribe', topic: `event:${secret}` });
  await eventually(() => leakingClient.messages.filter(({ type }) => type === 'error').length === 3);
  const shared = addUser();
  for (let n = 0; n < 3; n += 1) await open(shared);

  // Redis and Postgres fail, and the gateway stops.
  postgres.cut();
  await postgres.refuse();
  await fixture.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await eventually(() => gateway.log.filter(({ level }) => level === 'warn').length >= 2, {
    timeoutMs: 15_000,
  });
  await fixture.publish(fixOf(deviceAt(devices)));
  const response = await fetch(`${gateway.opsUrl}/metrics`);
  observed.push(await response.text());
  expect(await gateway.stop()).toBe(0);

  const spans = collector.spans.filter(({ service }) => service === 'live-gateway');
  expect(spans.length).toBeGreaterThan(10);
  observed.push(inspect(spans, { depth: 5, maxArrayLength: null }));
  const logged = gateway.output();
  expect(logged.length).toBeGreaterThan(1_000);
  expect(observed.length).toBeGreaterThan(30);
  expect(sessions).toBeGreaterThan(30);
  // Replies repeat only the id that the client chose.
  const messages = viewers.filter((each) => each !== leakingClient).flatMap((each) => each.messages);
  for (const output of [logged, JSON.stringify(messages), ...observed]) {
    expect(output.includes(secret)).toBe(false);
    expect(output.includes('directus_session_token=')).toBe(false);
  }
  for (const message of leakingClient.messages.filter(({ type }) => type === 'error')) {
    expect(JSON.stringify({ ...message, id: '' })).not.toContain(secret);
  }
  for (const each of viewers) each[Symbol.dispose]();
});
