import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startDirectus, type TestDirectus } from '../src/directus.ts';

const userId = randomUUID();
const eventId = randomUUID();

/** Asks with the path exactly as it is given: `fetch` would resolve its dots first. */
async function ask(
  directus: TestDirectus,
  path: string,
  cookie?: string,
): Promise<{
  readonly status: number | undefined;
  readonly body: unknown;
  readonly retryAfter: string | undefined;
}> {
  const { hostname, port } = new URL(directus.url);
  const headers = cookie === undefined ? {} : { cookie: `directus_session_token=${cookie}` };
  const outgoing = request({ hostname, port, path, headers, agent: false }).end();
  const [response] = await once(outgoing, 'response');
  const body = await text(response);
  return {
    status: response.statusCode,
    body: body.startsWith('{') ? JSON.parse(body) : body,
    retryAfter: response.headers['retry-after'],
  };
}

function refusal(code: string): unknown {
  return { errors: [{ message: expect.any(String), extensions: expect.objectContaining({ code }) }] };
}

test('/users/me returns the user of the session and refuses each wrong session with its own code', async () => {
  await using directus = await startDirectus();
  directus.addSession('valid', userId);
  directus.addSession('old', userId);
  directus.expireSession('old');
  directus.addForeignSession('foreign');
  directus.addShareToken('share');
  expect(await ask(directus, '/users/me', 'valid')).toMatchObject({
    status: 200,
    body: { data: { id: userId } },
  });
  expect(await ask(directus, '/users/me')).toMatchObject({
    status: 401,
    body: refusal('INVALID_CREDENTIALS'),
  });
  expect(await ask(directus, '/users/me', 'made-up')).toMatchObject({
    status: 401,
    body: refusal('INVALID_CREDENTIALS'),
  });
  expect(await ask(directus, '/users/me', 'old')).toMatchObject({
    status: 401,
    body: refusal('TOKEN_EXPIRED'),
  });
  expect(await ask(directus, '/users/me', 'foreign')).toMatchObject({
    status: 403,
    body: refusal('INVALID_TOKEN'),
  });
  const shared = await ask(directus, '/users/me', 'share');
  expect(shared.status).toBe(200);
  expect(shared.body).toEqual({ data: expect.not.objectContaining({ id: expect.anything() }) });
});

test('a permitted event is returned; forbidden, missing and malformed ids all get 403', async () => {
  await using directus = await startDirectus();
  directus.addSession('cookie', userId);
  directus.addShareToken('share');
  directus.allow(userId, eventId);
  const path = `/items/events/${eventId}?fields=id`;
  expect(await ask(directus, path, 'cookie')).toMatchObject({ status: 200, body: { data: { id: eventId } } });
  expect(
    await ask(directus, path.toUpperCase().replace('ITEMS/EVENTS', 'items/events'), 'cookie'),
  ).toMatchObject({
    status: 200,
    body: { data: { id: eventId } },
  });
  const refused = [randomUUID(), 'no-uuid', '..%2f..%2fusers%2fme', '%', '%00'];
  for (const id of refused) {
    expect(await ask(directus, `/items/events/${id}?fields=id`, 'cookie')).toMatchObject({
      status: 403,
      body: refusal('FORBIDDEN'),
    });
  }
  expect(await ask(directus, path)).toMatchObject({ status: 403, body: refusal('FORBIDDEN') });
  expect(await ask(directus, path, 'share')).toMatchObject({ status: 403, body: refusal('FORBIDDEN') });
  directus.forbid(userId, eventId);
  expect(await ask(directus, path, 'cookie')).toMatchObject({ status: 403, body: refusal('FORBIDDEN') });
});

test.for(['', '.', '%2e', '%2E'])('the event id "%s" gives 200 with a list, raw or resolved', async (id) => {
  await using directus = await startDirectus();
  directus.addSession('cookie', userId);
  directus.allow(userId, eventId);
  const path = `/items/events/${id}?fields=id`;
  const list = { status: 200, body: { data: [{ id: eventId }] } };
  expect(await ask(directus, path, 'cookie')).toMatchObject(list);
  const resolved = new URL(path, directus.url);
  expect(await ask(directus, resolved.pathname + resolved.search, 'cookie')).toMatchObject(list);
});

test.for(['../../users/me', '%2e%2e/%2e%2e/users/me'])(
  'the event id "%s" gives 200 with the user, raw or resolved',
  async (id) => {
    await using directus = await startDirectus();
    directus.addSession('cookie', userId);
    const path = `/items/events/${id}?fields=id`;
    const user = { status: 200, body: { data: { id: userId } } };
    expect(await ask(directus, path, 'cookie')).toMatchObject(user);
    const resolved = new URL(path, directus.url);
    expect(await ask(directus, resolved.pathname + resolved.search, 'cookie')).toMatchObject(user);
  },
);

test('calls are recorded with the raw path and names of headers and cookies, without cookie values', async () => {
  await using directus = await startDirectus();
  await fetch(`${directus.url}/items/events/${eventId}?fields=id`, {
    headers: { Cookie: 'directus_session_token=secret; other=1', 'X-Forwarded-For': '203.0.113.7' },
  });
  expect(directus.calls).toEqual([
    {
      method: 'GET',
      path: `/items/events/${eventId}?fields=id`,
      headerNames: expect.arrayContaining(['cookie', 'host', 'x-forwarded-for']),
      cookieNames: ['directus_session_token', 'other'],
      sessionHash: '2bb80d53',
      clientAddress: '203.0.113.7',
    },
  ]);
  expect(JSON.stringify(directus.calls)).not.toContain('secret');
});

test('the rate limit is 429 with Retry-After, pressure 503, an error 500', async () => {
  await using directus = await startDirectus();
  directus.addSession('cookie', userId);
  directus.misbehave('429');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({
    status: 429,
    body: refusal('REQUESTS_EXCEEDED'),
    retryAfter: '1',
  });
  expect(await ask(directus, '/server/ping')).toMatchObject({ status: 200, body: 'pong' });
  directus.misbehave('503');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({
    status: 503,
    body: refusal('SERVICE_UNAVAILABLE'),
  });
  expect(await ask(directus, '/server/ping')).toMatchObject({ status: 503 });
  directus.misbehave('500');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 500 });
  directus.misbehave('unlicensed');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
  expect(await ask(directus, `/items/events/${eventId}`, 'cookie')).toMatchObject({
    status: 403,
    body: refusal('RESOURCE_RESTRICTED'),
  });
  directus.misbehave('ok');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
});

test('it can answer late, never, or refuse connections, and recover', async () => {
  await using directus = await startDirectus();
  directus.addSession('cookie', userId);
  directus.misbehave('slow', { slowMs: 150 });
  const startedAtMs = performance.now();
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
  expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(145);
  directus.misbehave('hang');
  await expect(fetch(`${directus.url}/users/me`, { signal: AbortSignal.timeout(100) })).rejects.toThrow(
    'timeout',
  );
  directus.misbehave('refuse');
  await expect(ask(directus, '/users/me', 'cookie')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  directus.misbehave('ok');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
});

test('a seeded user can log in for a session cookie; a suspended one cannot', async () => {
  await using directus = await startDirectus();
  directus.addUser({ userId, email: 'viewer@example.org', password: 'right' });
  const logIn = async (password: string, mode = 'session'): Promise<Response> =>
    await fetch(`${directus.url}/auth/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email: 'viewer@example.org', password, mode }),
    });
  expect((await logIn('wrong')).status).toBe(401);
  expect((await logIn('right', 'json')).status).toBe(400);
  const response = await logIn('right');
  expect(response.status).toBe(200);
  const [, cookie] =
    /^directus_session_token=([^;]+); .*HttpOnly/.exec(response.headers.get('set-cookie') ?? '') ?? [];
  expect(await ask(directus, '/users/me', cookie)).toMatchObject({
    status: 200,
    body: { data: { id: userId } },
  });
  directus.suspend(userId);
  expect((await logIn('right')).status).toBe(401);
  expect(await ask(directus, '/users/me', cookie)).toMatchObject({ status: 200 });
});

test('version 12 ends the sessions of a suspended user', async () => {
  await using directus = await startDirectus({ version: 12 });
  directus.addSession('cookie', userId);
  directus.suspend(userId);
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 401 });
});

test('an unknown route is 404, and the login page is HTML', async () => {
  await using directus = await startDirectus();
  expect(await ask(directus, '/items/other')).toMatchObject({
    status: 404,
    body: refusal('ROUTE_NOT_FOUND'),
  });
  expect((await ask(directus, '/admin/login')).body).toMatch(/<form>/);
});
