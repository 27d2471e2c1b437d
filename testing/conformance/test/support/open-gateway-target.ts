import { randomUUID } from 'node:crypto';
import { openFixture } from '@app/live-gateway/testing/open-fixture';
import { testOrigin } from '@app/live-gateway/testing/start-gateway';
import { fetchLimits, defaultLimits } from '../../src/fetch-limits.ts';
import { openTestEvent } from '../../src/open-test-event.ts';
import type { Session, Target } from '../../src/target.ts';

const cookieName = 'directus_session_token';
const settings = {
  LIVE_MESSAGE_RATE_PER_S: '100',
  LIVE_MAX_CONNECTIONS_PER_USER: '200',
  DIRECTUS_AUTH_TIMEOUT_MS: '400',
  DIRECTUS_AUTHZ_TIMEOUT_MS: '400',
  AUTH_CACHE_TTL_MS: '0',
  AUTHZ_CACHE_TTL_MS: '0',
};

function sessionFor(value: string): Session {
  return { cookie: `${cookieName}=${value}` };
}

export interface GatewayTarget extends Required<Target>, AsyncDisposable {
  /** Arguments and environment of `./run conformance` for this gateway and an event without devices. */
  readonly command: {
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
}

/** A real gateway with every capability: streams, database, Directus and replicas. */
export async function openGatewayTarget(): Promise<GatewayTarget> {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await openFixture());
  const { directus, redis, sql, stream } = fixture;
  const gateway = await fixture.start({ env: settings });
  await gateway.ready();

  const newViewer = (...eventIds: readonly string[]): Session & { readonly userId: string } => {
    const { session, userId } = fixture.addViewer(...eventIds);
    return { ...sessionFor(session), userId };
  };
  const { eventId } = await fixture.addEvent(1);
  const withoutLimits = {
    url: gateway.wsUrl,
    origin: testOrigin,
    letsInWithoutOrigin: false,
    limits: defaultLimits,
    answerMs: 5_000,
    refreshMs: 10_000,
    session: newViewer(eventId),
    eventId,
  };
  const { eventId: emptyEvent } = await fixture.addEvent(0);
  let replicas = 0;
  const resources = stack.move();
  return {
    ...withoutLimits,
    command: {
      args: [
        gateway.wsUrl,
        `--origin=${testOrigin}`,
        `--event=${emptyEvent}`,
        `--stream=${stream}`,
        '--refresh-ms=3000',
      ],
      env: {
        LIVE_SESSION: newViewer(emptyEvent).cookie,
        REDIS_URL: fixture.redisUrl,
        POSTGRES_URL: fixture.postgresUrl,
      },
    },
    limits: { ...defaultLimits, ...(await fetchLimits(withoutLimits)), messagesPerS: 100 },
    openTestEvent: async ({ deviceCount } = {}) => {
      const newEventId = randomUUID();
      await sql`insert into events (id) values (${newEventId})`;
      const session = newViewer(newEventId);
      return await openTestEvent({ redis, sql, stream, eventId: newEventId, session, deviceCount });
    },
    directus: {
      newViewer,
      shareToken: () => {
        const value = `share.${randomUUID()}`;
        directus.addShareToken(value);
        return sessionFor(value);
      },
      foreignSession: () => {
        const value = `foreign.${randomUUID()}`;
        directus.addForeignSession(value);
        return sessionFor(value);
      },
      expire: ({ cookie }) => directus.expireSession(cookie.slice(cookieName.length + 1)),
      refresh: ({ cookie }) => {
        directus.refreshGraceMs = 0;
        return sessionFor(directus.renewSession(cookie.slice(cookieName.length + 1)));
      },
      allow: (userId, eventId_) => directus.allow(userId, eventId_),
      forbid: (userId, eventId_) => directus.forbid(userId, eventId_),
      setIncidents: (userId, mayRead) =>
        mayRead ? directus.allowIncidents(userId) : directus.forbidIncidents(userId),
      during: async (mode, act) => {
        directus.misbehave(mode, { slowMs: 200 });
        try {
          await act();
        } finally {
          await fixture.healDirectus();
        }
      },
      calls: () =>
        directus.calls.map(({ headerNames, cookieNames }) => ({
          headers: headerNames,
          cookies: cookieNames,
        })),
    },
    ownStream: async () => {
      const key = `${stream}:${randomUUID()}`;
      for (let count = 0; count < 5; count += 1) await redis.xadd(key, '*', 'codec', '8E');
      return {
        key,
        rewind: async () => {
          await redis.multi().del(key).xadd(key, '1-1', 'codec', '8E').exec();
        },
        [Symbol.asyncDispose]: async () => {
          await redis.del(key);
        },
      };
    },
    replicas: {
      start: async (overrides = {}) => {
        replicas += 1;
        const { POSTGRES_URL: postgresUrl, ...env } = overrides;
        const replica = await fixture.start({
          instanceId: `replica-${replicas}`,
          ...(postgresUrl !== undefined && { postgresUrl }),
          env: { ...settings, ...env },
        });
        // A replica without a database never becomes ready but accepts clients.
        if (postgresUrl === undefined) await replica.ready();
        return {
          url: replica.wsUrl,
          stop: async () => {
            await replica.stop();
          },
          [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose](),
        };
      },
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
