import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startDirectus, type TestDirectus } from '../src/directus.ts';

const userId = randomUUID();
const eventId = randomUUID();

interface Answer {
  readonly status: number | undefined;
  /** The code of the error, the data, or the text. */
  readonly body: unknown;
  readonly retryAfter: string | undefined;
}

/** Asks with the path exactly as it is given: `fetch` would resolve its dots first. */
async function ask(directus: TestDirectus, path: string, cookie?: string): Promise<Answer> {
  const { hostname, port } = new URL(directus.url);
  const headers = cookie === undefined ? {} : { cookie: `directus_session_token=${cookie}` };
  const outgoing = request({ hostname, port, path, headers, agent: false }).end();
  const [response] = await once(outgoing, 'response');
  const body = await text(response);
  const { errors, data } = body.startsWith('{') ? JSON.parse(body) : { data: body };
  return {
    status: response.statusCode,
    body: errors === undefined ? data : errors[0].extensions.code,
    retryAfter: response.headers['retry-after'],
  };
}

/** The answers to paths, as `status body`, with the session cookie `cookie`. */
async function answersTo(directus: TestDirectus, ...paths: readonly string[]): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const path of paths) {
    const { status, body } = await ask(directus, path, 'cookie');
    answers.push(`${status} ${typeof body === 'string' ? body : JSON.stringify(body)}`);
  }
  return answers;
}

async function startWithSession(): Promise<TestDirectus> {
  const directus = await startDirectus();
  directus.addSession('cookie', userId);
  directus.allow(userId, eventId);
  return directus;
}

test('/users/me returns the user of the session and refuses each wrong session with its own code', async () => {
  await using directus = await startWithSession();
  directus.addSession('old', userId);
  directus.expireSession('old');
  directus.addForeignSession('foreign');
  directus.addShareToken('share');
  const me = (cookie?: string): Promise<Answer> => ask(directus, '/users/me', cookie);
  expect(await me('cookie')).toMatchObject({ status: 200, body: { id: userId } });
  expect(await me()).toMatchObject({ status: 401, body: 'INVALID_CREDENTIALS' });
  expect(await me('made-up')).toMatchObject({ status: 401, body: 'INVALID_CREDENTIALS' });
  expect(await me('old')).toMatchObject({ status: 401, body: 'TOKEN_EXPIRED' });
  expect(await me('foreign')).toMatchObject({ status: 403, body: 'INVALID_TOKEN' });
  expect(await me('share')).toMatchObject({
    status: 200,
    body: expect.not.objectContaining({ id: expect.anything() }),
  });
});

test('a permitted event is returned; forbidden, missing and malformed ids all get 403', async () => {
  await using directus = await startWithSession();
  directus.addShareToken('share');
  const path = `/items/events/${eventId}?fields=id`;
  const upperCasePath = `/items/events/${eventId.toUpperCase()}?FIELDS=ID`;
  const found = `200 {"id":"${eventId}"}`;
  expect(await answersTo(directus, path, upperCasePath)).toEqual([found, found]);
  const ids = [randomUUID(), 'no-uuid', '..%2f..%2fusers%2fme', '%', '%00'];
  expect(await answersTo(directus, ...ids.map((id) => `/items/events/${id}?fields=id`))).toEqual(
    ids.map(() => '403 FORBIDDEN'),
  );
  for (const cookie of [undefined, 'share']) {
    expect(await ask(directus, path, cookie)).toMatchObject({ status: 403, body: 'FORBIDDEN' });
  }
  directus.forbid(userId, eventId);
  expect(await answersTo(directus, path)).toEqual(['403 FORBIDDEN']);
});

test('incidents are shown to users who may read them, and to nobody else', async () => {
  await using directus = await startWithSession();
  const path = '/items/incidents?limit=1&fields=key';
  expect(await answersTo(directus, path)).toEqual(['403 FORBIDDEN']);
  directus.allowIncidents(userId);
  expect(await answersTo(directus, path)).toEqual(['200 []']);
  expect(await ask(directus, path)).toMatchObject({ status: 403, body: 'FORBIDDEN' });
  directus.expireSession('cookie');
  expect(await answersTo(directus, path)).toEqual(['401 TOKEN_EXPIRED']);
});

test.for([
  ['', `[{"id":"${eventId}"}]`],
  ['.', `[{"id":"${eventId}"}]`],
  ['%2e', `[{"id":"${eventId}"}]`],
  ['%2E', `[{"id":"${eventId}"}]`],
  ['../../users/me', `{"id":"${userId}"}`],
  ['%2e%2e/%2e%2e/users/me', `{"id":"${userId}"}`],
])('the event id "%s" gives 200 with other data, raw or resolved', async ([id = '', data]) => {
  await using directus = await startWithSession();
  const path = `/items/events/${id}?fields=id`;
  const resolved = new URL(path, directus.url);
  expect(await answersTo(directus, path, resolved.pathname + resolved.search)).toEqual([
    `200 ${data}`,
    `200 ${data}`,
  ]);
});

test('calls are recorded with the raw path and names of headers and cookies, without cookie values', async () => {
  await using directus = await startDirectus();
  await fetch(`${directus.url}/items/events/${eventId}?fields=id`, {
    headers: { Cookie: 'directus_session_token=secret; other=1', 'X-Forwarded-For': '203.0.113.7' },
  });
  expect(directus.calls).toEqual([
    {
      path: `/items/events/${eventId}?fields=id`,
      headerNames: expect.arrayContaining(['cookie', 'host', 'x-forwarded-for']),
      cookieNames: ['directus_session_token', 'other'],
      clientAddress: '203.0.113.7',
    },
  ]);
  expect(JSON.stringify(directus.calls)).not.toContain('secret');
});

test('the rate limit is 429 with Retry-After, pressure 503, an error 500', async () => {
  await using directus = await startWithSession();
  const me = `200 {"id":"${userId}"}`;
  directus.misbehave('429');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ retryAfter: '1' });
  expect(await answersTo(directus, '/users/me', '/server/ping')).toEqual([
    '429 REQUESTS_EXCEEDED',
    '200 pong',
  ]);
  directus.misbehave('503');
  expect(await answersTo(directus, '/users/me', '/server/ping')).toEqual([
    '503 SERVICE_UNAVAILABLE',
    '503 SERVICE_UNAVAILABLE',
  ]);
  directus.misbehave('500');
  expect(await answersTo(directus, '/users/me')).toEqual(['500 INTERNAL_SERVER_ERROR']);
  directus.misbehave('unlicensed');
  expect(await answersTo(directus, '/users/me', `/items/events/${eventId}`)).toEqual([
    me,
    '403 RESOURCE_RESTRICTED',
  ]);
  directus.misbehave('ok');
  expect(await answersTo(directus, '/users/me')).toEqual([me]);
});

test('it can answer late, never, or refuse connections, and recover', async () => {
  await using directus = await startWithSession();
  directus.misbehave('slow', { slowMs: 150 });
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
  directus.misbehave('hang');
  await expect(fetch(`${directus.url}/users/me`, { signal: AbortSignal.timeout(100) })).rejects.toThrow(
    'timeout',
  );
  directus.misbehave('refuse');
  await expect(ask(directus, '/users/me', 'cookie')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  directus.misbehave('ok');
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
});

test('a seeded user can log in for a session cookie', async () => {
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
  expect(await ask(directus, '/users/me', cookie)).toMatchObject({ status: 200, body: { id: userId } });
});

test('a refresh sets the next session; the previous one ends after the grace period, and names the same next one until then', async () => {
  await using directus = await startWithSession();
  const refresh = async (cookie: string, mode = 'session'): Promise<string> => {
    const response = await fetch(`${directus.url}/auth/refresh`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Cookie: `directus_session_token=${cookie}` },
      body: JSON.stringify({ mode }),
    });
    const [, next] = /^directus_session_token=([^;]+);/.exec(response.headers.get('set-cookie') ?? '') ?? [];
    return next ?? String(response.status);
  };
  expect(await refresh('unknown')).toBe('401');
  expect(await refresh('cookie', 'json')).toBe('400');
  const next = await refresh('cookie');
  expect(await refresh('cookie')).toBe(next);
  for (const cookie of ['cookie', next]) {
    expect(await ask(directus, '/users/me', cookie)).toMatchObject({ status: 200, body: { id: userId } });
  }
  directus.refreshGraceMs = 0;
  const third = await refresh(next);
  expect(await ask(directus, '/users/me', next)).toMatchObject({ status: 401, body: 'INVALID_CREDENTIALS' });
  expect(await refresh(next)).toBe('401');
  expect(await ask(directus, '/users/me', third)).toMatchObject({ status: 200 });
});

test('a static token is accepted as bearer until its user is suspended; a session then ends only when it is refreshed', async () => {
  await using directus = await startWithSession();
  directus.addStaticToken('static', userId);
  const withToken = async (token: string, cookie = 'unknown'): Promise<number> => {
    const headers = { Authorization: `Bearer ${token}`, Cookie: `directus_session_token=${cookie}` };
    return (await fetch(`${directus.url}/users/me`, { headers })).status;
  };
  // The header precedes the cookie.
  expect(await withToken('static')).toBe(200);
  expect(await withToken('unknown', 'cookie')).toBe(401);
  directus.suspend(userId);
  expect(await withToken('static')).toBe(401);
  expect(await ask(directus, '/users/me', 'cookie')).toMatchObject({ status: 200 });
  const refreshed = await fetch(`${directus.url}/auth/refresh`, {
    method: 'POST',
    headers: { Cookie: 'directus_session_token=cookie' },
    body: JSON.stringify({ mode: 'session' }),
  });
  expect(refreshed.status).toBe(401);
});

test('the public policy shows an event to requests without a token, not to users', async () => {
  await using directus = await startWithSession();
  const publicId = randomUUID();
  directus.allowPublic(publicId);
  const path = `/items/events/${publicId}?fields=id`;
  expect(await ask(directus, path)).toMatchObject({ status: 200, body: { id: publicId } });
  expect(await ask(directus, path, 'cookie')).toMatchObject({ status: 403, body: 'FORBIDDEN' });
  expect(await ask(directus, path, 'unknown')).toMatchObject({ status: 401 });
  directus.forbidPublic(publicId);
  expect(await ask(directus, path)).toMatchObject({ status: 403, body: 'FORBIDDEN' });
});

test('an unknown route is 404, and the login page is HTML', async () => {
  await using directus = await startWithSession();
  expect(await answersTo(directus, '/items/other')).toEqual(['404 ROUTE_NOT_FOUND']);
  expect((await ask(directus, '/admin/login')).body).toMatch(/<form>/);
});
