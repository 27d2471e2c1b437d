import { deepEqual, equal, ok } from 'node:assert/strict';
import { Client, connect, tryConnect } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { Session, Target } from '../target.ts';

const settings = { LIVE_TICKET_KEY: 'k'.repeat(32), REAUTHORIZE_INTERVAL_MS: '500' };

/** Requests a ticket as a page does; undefined if the server issues none. */
async function requestTicket(
  target: Target,
  serverUrl: string,
  connection: string,
  session: Session,
): Promise<string | undefined> {
  const url = new URL(serverUrl.replace(/^ws/u, 'http'));
  url.searchParams.set('connection', connection);
  const response = await fetch(url, {
    method: 'POST',
    headers: { origin: target.origin, cookie: session.cookie },
    signal: AbortSignal.timeout(target.answerMs),
  });
  if (response.status !== 200) return undefined;
  equal(response.headers.get('access-control-allow-origin'), target.origin);
  const body: unknown = await response.json();
  ok(typeof body === 'object' && body !== null && 'ticket' in body, 'no ticket in the answer');
  return String(body.ticket);
}

async function expectBadSession(client: Client<'batched'>, ticket: string | undefined): Promise<void> {
  await client.send({ type: 'reauthenticate', id: 'bad', ticket });
  const error = await client.next('error');
  deepEqual([error.id, error.code, error.temporary], ['bad', 'bad-session', false]);
}

function tokenOf({ cookie }: Session): string {
  return cookie.slice(cookie.indexOf('=') + 1);
}

export const sessionCases = [
  defineCase(
    'a session that was refreshed is handed over with a ticket, no other session is, and one that just ends closes the connection with 4001',
    ['directus', 'replicas', 'eventId'],
    async (target) => {
      await using replica = await target.replicas.start(settings);
      const session = target.directus.newViewer(target.eventId);
      using client = await connect(target, 'batched', session, { url: replica.url });
      const { connection, tickets } = await client.next('hello');
      equal(tickets, true);
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      await client.next('subscribed');

      const stranger = target.directus.newViewer(target.eventId);
      await expectBadSession(client, await requestTicket(target, replica.url, connection, stranger));
      using second = await connect(target, 'batched', session, { url: replica.url });
      const ofSecond = (await second.next('hello')).connection;
      await expectBadSession(client, await requestTicket(target, replica.url, ofSecond, session));

      const refreshed = target.directus.refresh(session);
      const { afterMs } = await client.next('session-ended', () => true, target.answerMs + 2_000);
      ok(afterMs > 0, 'no time to hand over the session');
      const ticket = await requestTicket(target, replica.url, connection, refreshed);
      await client.send({ type: 'reauthenticate', id: 'new', ticket });
      equal((await client.next('reauthenticated')).id, 'new');
      await client.send({ type: 'unsubscribe', topic: `event:${target.eventId}` });
      await client.next('unsubscribed');
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      await client.next('subscribed');

      target.directus.expire(refreshed);
      await client.next('session-ended', () => true, target.answerMs + 2_000);
      equal(await client.closed(target.answerMs + afterMs), 4001);
    },
    {
      covers: ['message session-ended', 'message reauthenticated', 'error bad-session', 'close 4001'],
      schedule: 'parallel',
    },
  ),
  defineCase(
    'a client with a bearer token hands the next one over when the first has expired, and no token of another user',
    ['directus', 'replicas', 'eventId'],
    async (target) => {
      await using replica = await target.replicas.start({
        LIVE_BEARER_TOKENS: 'on',
        REAUTHORIZE_INTERVAL_MS: '500',
      });
      const session = target.directus.newViewer(target.eventId);
      const connected = await tryConnect({ ...target, url: replica.url }, 'batched', {
        headers: { authorization: `Bearer ${tokenOf(session)}` },
      });
      ok(connected instanceof Client, 'upgrade refused');
      using client = connected;
      equal((await client.next('hello')).tokens, true);
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      await client.next('subscribed');

      const stranger = tokenOf(target.directus.newViewer(target.eventId));
      await client.send({ type: 'reauthenticate', id: 'bad', token: stranger });
      equal((await client.next('error')).code, 'bad-session');

      const refreshed = target.directus.refresh(session);
      await client.next('session-ended', () => true, target.answerMs + 2_000);
      await client.send({ type: 'reauthenticate', id: 'new', token: tokenOf(refreshed) });
      equal((await client.next('reauthenticated')).id, 'new');
      await client.send({ type: 'unsubscribe', topic: `event:${target.eventId}` });
      await client.next('unsubscribed');
      await client.send({ type: 'subscribe', topic: `event:${target.eventId}` });
      await client.next('subscribed');
    },
    { schedule: 'parallel' },
  ),
  defineCase(
    'a server without tickets says so: hello has no tickets, and reauthenticate is an unknown type',
    ['session'],
    async (target) => {
      using client = await connect(target, 'batched', target.session);
      const { connection, tickets } = await client.next('hello');
      if (tickets === true) return;
      equal(await requestTicket(target, target.url, connection, target.session), undefined);
      await client.send({ type: 'reauthenticate', id: 1, ticket: 'x' });
      equal((await client.next('error')).code, 'unknown-type');
    },
    { schedule: 'parallel' },
  ),
];
