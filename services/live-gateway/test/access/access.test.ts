import { inspect } from 'node:util';
import { startDirectus } from '@app/test-kit/directus';
import type { TestDirectus } from '@app/test-kit/directus';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DirectusCache } from '../../src/access/directus-cache.ts';
import type { Cacheable, CacheResult } from '../../src/access/directus-cache.ts';
import { createCallDirectus } from '../../src/access/call-directus.ts';
import { createAuthenticate, toIdentity } from '../../src/access/authenticate.ts';
import { toIncidentsPermission } from '../../src/access/authorize-incidents.ts';
import { createAuthorize, toPermission } from '../../src/access/authorize.ts';
import type { Authorize } from '../../src/access/authorize.ts';
import { readSessionCookie } from '../../src/access/session-cookie.ts';
import type { SessionCookie } from '../../src/access/session-cookie.ts';
import { RunClock } from '../../src/run-clock.ts';
import type { Visitor } from '../../src/access/visitor.ts';

const eventId = '0f0e0d0c-0b0a-4908-8706-050403020100';

function cookieOf(session: string): SessionCookie {
  const cookie = readSessionCookie(`a=b; directus_session_token=${session}`, 'directus_session_token');
  if (cookie === undefined) throw new Error('no cookie');
  return cookie;
}

function visitorWith(session: string): Visitor {
  return { credential: cookieOf(session), address: '198.51.100.7' };
}

async function openDirectus(): Promise<TestDirectus> {
  const directus = await startDirectus();
  onTestFinished(() => directus[Symbol.asyncDispose]());
  directus.addSession('s', 'user-1');
  return directus;
}

function callerOf(directus: TestDirectus, limits = { maxInFlight: 32, maxQueued: 100 }) {
  const clock = new RunClock();
  onTestFinished(() => clock[Symbol.dispose]());
  return createCallDirectus({ baseUrl: directus.url, ...limits, clock });
}

const failing = (): Promise<never> => Promise.reject(new Error('down'));

function identityOf(status: number, body: unknown) {
  return toIdentity({ answered: true, status, body });
}

const ignored = { onCall: () => undefined, onCacheResult: () => undefined, onResult: () => undefined };

function openCache() {
  let nowMs = 1_000;
  const results: CacheResult[] = [];
  const cache = new DirectusCache<string>({
    maxEntries: 10,
    nowMs: () => nowMs,
    onResult: (result) => results.push(result),
  });
  const responses: ((response: Cacheable<string>) => void)[] = [];
  const load = (): Promise<Cacheable<string>> => new Promise((resolve) => responses.push(resolve));
  const respond = (which: number, value: string, ttlMs: number): void => responses[which]?.({ value, ttlMs });
  return {
    cache,
    results,
    load,
    respond,
    callCount: () => responses.length,
    passMs: (ms: number) => (nowMs += ms),
  };
}

describe('the Directus cache', () => {
  test('makes one call for concurrent requests, and counts the TTL from the request', async () => {
    const { cache, results, load, respond, passMs } = openCache();
    const first = cache.get('k', load);
    const second = cache.get('k', load);
    passMs(90);
    respond(0, 'yes', 100);
    expect(await Promise.all([first, second])).toEqual(['yes', 'yes']);
    passMs(9);
    expect(await cache.get('k', load)).toBe('yes');
    passMs(1);
    void cache.get('k', load);
    expect(results).toEqual(['miss', 'coalesced', 'hit', 'miss']);
  });

  test('makes another call for a newer value, and a late response does not replace it', async () => {
    const { cache, load, respond, callCount, passMs } = openCache();
    const old = cache.get('k', load);
    passMs(10);
    const fresh = cache.get('k', load, 1_010);
    expect(callCount()).toBe(2);
    respond(1, 'no', 1_000);
    expect(await fresh).toBe('no');
    respond(0, 'yes', 1_000);
    expect(await old).toBe('yes');
    expect(await cache.get('k', load)).toBe('no');
    expect(callCount()).toBe(2);
  });

  test('rejects every waiting caller when the call fails, and does not cache the failure', async () => {
    const { cache, load, respond } = openCache();
    const both = [cache.get('k', failing), cache.get('k', load)];
    await expect(both[0]).rejects.toThrow('down');
    await expect(both[1]).rejects.toThrow('down');
    const next = cache.get('k', load);
    respond(0, 'yes', 100);
    expect(await next).toBe('yes');
  });
});

describe('authentication', () => {
  test('caches a user for the configured TTL, and a refusal for 5 s', async () => {
    const directus = await openDirectus();
    let nowMs = 0;
    const authenticate = createAuthenticate({
      callDirectus: callerOf(directus),
      timeoutMs: 1_000,
      cacheTtlMs: 10_000,
      nowMs: () => nowMs,
      ...ignored,
    });
    expect(await authenticate(visitorWith('s'))).toEqual({ kind: 'user', userId: 'user-1' });
    expect(await authenticate(visitorWith('unknown'))).toEqual({ kind: 'nobody' });
    nowMs = 4_999;
    await authenticate(visitorWith('s'));
    await authenticate(visitorWith('unknown'));
    expect(directus.calls).toHaveLength(2);
    nowMs = 5_000;
    await authenticate(visitorWith('s'));
    await authenticate(visitorWith('unknown'));
    expect(directus.calls).toHaveLength(3);
    nowMs = 10_000;
    await authenticate(visitorWith('s'));
    expect(directus.calls).toHaveLength(4);
  });

  test('accepts only a 200 with a string in data.id; an unexpected status counts as unavailable', () => {
    expect(identityOf(200, { data: { id: 'u' } })).toEqual({ kind: 'user', userId: 'u' });
    for (const body of [
      {},
      { data: {} },
      { data: { id: 7 } },
      { data: { id: '' } },
      { data: null },
      null,
      [],
      'x',
    ]) {
      expect(identityOf(200, body)).toEqual({ kind: 'nobody' });
    }
    for (const status of [401, 403])
      expect(identityOf(status, { data: { id: 'u' } })).toEqual({ kind: 'nobody' });
    for (const status of [204, 302, 404]) expect(identityOf(status, {})).toEqual({ kind: 'unavailable' });
  });

  test('bounds concurrent and queued calls, and passes Retry-After on', async () => {
    const directus = await openDirectus();
    directus.misbehave('hang');
    const callDirectus = callerOf(directus, { maxInFlight: 2, maxQueued: 3 });
    const visitors = Array.from({ length: 10 }, (_, n) => visitorWith(`s${n}`));
    const replies = await Promise.all(visitors.map((visitor) => callDirectus('/users/me', visitor, 1_000)));
    expect(directus.calls).toHaveLength(2);
    const reasons = replies.map((reply) => (reply.answered ? reply.status : reply.reason));
    // Two calls were made, three timed out in the queue, five were refused at once.
    expect(reasons).toEqual(['timeout', 'timeout', ...Array.from({ length: 8 }, () => 'overloaded')]);
    directus.misbehave('429');
    expect(await callDirectus('/users/me', visitorWith('s'), 1_000)).toEqual({
      answered: false,
      reason: 'rate_limited',
      cause: 'HTTP 429',
      retryAfterMs: 1_000,
    });
  });
});

function incidentsIn(status: number, body: unknown, errorCode?: string) {
  const reply = { answered: true, status, body } as const;
  return toIncidentsPermission(errorCode === undefined ? reply : { ...reply, errorCode });
}

describe('the right to read incidents', () => {
  test('needs a 200 with a list; a refusal and a missing collection are none', async () => {
    expect(incidentsIn(200, { data: [] })).toEqual({ kind: 'known', mayRead: true });
    for (const body of [{ data: {} }, { data: null }, [], null, 'ok']) {
      expect(incidentsIn(200, body)).toEqual({ kind: 'known', mayRead: false });
    }
    expect(incidentsIn(403, {}, 'FORBIDDEN')).toEqual({ kind: 'known', mayRead: false });
    expect(incidentsIn(403, {}, 'INVALID_TOKEN')).toEqual({ kind: 'session-ended' });
    expect(incidentsIn(401, {})).toEqual({ kind: 'session-ended' });
  });

  test('is not known from a redirect, a page, or without an answer', () => {
    expect(incidentsIn(302, {})).toEqual({ kind: 'unavailable' });
    expect(incidentsIn(404, {})).toEqual({ kind: 'unavailable' });
    expect(toIncidentsPermission({ answered: false, reason: 'timeout' })).toEqual({ kind: 'unavailable' });
  });
});

async function openAuthorize(): Promise<{
  directus: TestDirectus;
  authorize: Authorize;
  passMs: (ms: number) => void;
}> {
  const directus = await openDirectus();
  let nowMs = 0;
  const authorize = createAuthorize({
    callDirectus: callerOf(directus),
    timeoutMs: 1_000,
    cacheTtlMs: 30_000,
    nowMs: () => nowMs,
    ...ignored,
  });
  const passMs = (ms: number): void => {
    nowMs += ms;
  };
  return { directus, authorize, passMs };
}

describe('authorisation', () => {
  test.each(['', '.', '%2e', '../../users/me', '..%2f..%2fusers%2fme', `${eventId}/`, eventId.toUpperCase()])(
    'of %j is refused without a call: Directus would answer 200 with other data',
    async (wrongId) => {
      const { directus, authorize } = await openAuthorize();
      expect(await authorize(visitorWith('s'), wrongId)).toMatchObject({ kind: 'forbidden' });
      expect(directus.calls).toHaveLength(0);
    },
  );

  test('follows Directus, and a caller with notBeforeMs sees a withdrawn permission at once', async () => {
    const { directus, authorize, passMs } = await openAuthorize();
    expect(await authorize(visitorWith('s'), eventId)).toEqual({ kind: 'forbidden', isRestricted: false });
    directus.allow('user-1', eventId);
    passMs(5_000);
    expect(await authorize(visitorWith('s'), eventId)).toEqual({ kind: 'allowed' });
    directus.forbid('user-1', eventId);
    passMs(1);
    expect(await authorize(visitorWith('s'), eventId)).toEqual({ kind: 'allowed' });
    expect(await authorize(visitorWith('s'), eventId, 5_001)).toMatchObject({ kind: 'forbidden' });
    expect(await authorize(visitorWith('s'), eventId)).toMatchObject({ kind: 'forbidden' });
  });

  test('reports an ended session when Directus answers 401, or 403 INVALID_TOKEN', async () => {
    const { directus, authorize } = await openAuthorize();
    directus.addForeignSession('foreign');
    expect(await authorize(visitorWith('foreign'), eventId)).toEqual({ kind: 'session-ended' });
    directus.expireSession('s');
    expect(await authorize(visitorWith('s'), eventId)).toEqual({ kind: 'session-ended' });
  });

  test('distinguishes a missing licence from a missing permission', async () => {
    const { directus, authorize } = await openAuthorize();
    directus.allow('user-1', eventId);
    directus.misbehave('unlicensed');
    expect(await authorize(visitorWith('s'), eventId)).toEqual({ kind: 'forbidden', isRestricted: true });
  });

  test('is refused if Directus answers with another event', () => {
    const reply = (id: unknown) =>
      toPermission({ answered: true, status: 200, body: { data: { id } } }, eventId);
    expect(reply(eventId)).toEqual({ kind: 'allowed' });
    for (const id of ['11111111-0b0a-4908-8706-050403020100', undefined, 7, [eventId]]) {
      expect(reply(id)).toMatchObject({ kind: 'forbidden' });
    }
    const list = { answered: true, status: 200, body: { data: [{ id: eventId }] } } as const;
    expect(toPermission(list, eventId)).toMatchObject({ kind: 'forbidden' });
  });
});

test('a session cookie shows its value only in the header for Directus', () => {
  const cookie = cookieOf('se%20cret');
  expect(cookie.header()).toBe('directus_session_token=se%20cret');
  const printed = `${JSON.stringify({ cookie })} ${inspect({ cookie }, { depth: 5 })} ${Object.entries(cookie).join(' ')}`;
  expect(printed).not.toContain('cret');
  expect(cookieOf('se%20cret').hash).toBe(cookie.hash);
  expect(cookieOf('se%20cretx').hash).not.toBe(cookie.hash);
});
