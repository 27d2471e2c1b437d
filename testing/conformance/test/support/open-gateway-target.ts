import { randomUUID } from 'node:crypto';
import { openFixture } from '@app/live-gateway/testing/open-fixture';
import { testOrigin } from '@app/live-gateway/testing/start-gateway';
import { learnLimits, usualLimits } from '../../src/learn-limits.ts';
import { openStage } from '../../src/open-stage.ts';
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
  /** What `./run conformance` takes to test the same with what an operator has. */
  readonly command: {
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
}

/** A real gateway with everything that any sentence needs: its streams, its database, its Directus, and replicas. */
export async function openGatewayTarget(): Promise<GatewayTarget> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openFixture());
  const { directus, redis, sql, stream } = world;
  const gateway = await world.start({ env: settings });
  await gateway.ready();

  const newViewer = (...eventIds: readonly string[]): Session & { readonly userId: string } => {
    const { session, userId } = world.addViewer(...eventIds);
    return { ...sessionFor(session), userId };
  };
  const { eventId } = await world.addEvent(1);
  const bare = {
    url: gateway.wsUrl,
    origin: testOrigin,
    letsInWithoutOrigin: false,
    limits: usualLimits,
    answerMs: 5_000,
    refreshMs: 10_000,
    session: newViewer(eventId),
    eventId,
  };
  const { eventId: emptyEvent } = await world.addEvent(0);
  let replicas = 0;
  const running = stack.move();
  return {
    ...bare,
    command: {
      args: [
        gateway.wsUrl,
        '--origin',
        testOrigin,
        '--event',
        emptyEvent,
        '--stream',
        stream,
        '--refresh-ms',
        '3000',
      ],
      env: {
        LIVE_SESSION: newViewer(emptyEvent).cookie,
        REDIS_URL: world.redisUrl,
        POSTGRES_URL: world.postgresUrl,
      },
    },
    limits: { ...usualLimits, ...(await learnLimits(bare)), messagesPerS: 100 },
    openStage: async ({ deviceCount } = {}) => {
      const ownEvent = randomUUID();
      await sql`insert into events (id) values (${ownEvent})`;
      const session = newViewer(ownEvent);
      return await openStage({ redis, sql, stream, eventId: ownEvent, session, deviceCount });
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
      allow: (userId, eventId_) => directus.allow(userId, eventId_),
      forbid: (userId, eventId_) => directus.forbid(userId, eventId_),
      be: async (mood) => {
        if (mood === 'ok') await world.healDirectus();
        else directus.misbehave(mood, { slowMs: 200 });
      },
      calls: () =>
        directus.calls.map(({ path, headerNames, cookieNames }) => ({
          path,
          headers: headerNames,
          cookies: cookieNames,
        })),
    },
    ownStream: async () => {
      const key = `${stream}:${randomUUID()}`;
      for (let count = 0; count < 5; count += 1) await redis.xadd(key, '*', 'codec', '8E');
      return {
        key,
        goBack: async () => {
          await redis.multi().del(key).xadd(key, '1-1', 'codec', '8E').exec();
        },
        [Symbol.asyncDispose]: async () => {
          await redis.del(key);
        },
      };
    },
    replicas: {
      start: async (own = {}) => {
        replicas += 1;
        const { POSTGRES_URL: postgresUrl, ...env } = own;
        const replica = await world.start({
          instanceId: `replica-${replicas}`,
          ...(postgresUrl !== undefined && { postgresUrl }),
          env: { ...settings, ...env },
        });
        // One that has no database is not ready, and lets clients in all the same.
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
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
