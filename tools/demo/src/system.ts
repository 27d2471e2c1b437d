import { randomBytes, randomUUID } from 'node:crypto';
import { raceSql } from '@app/fleet-sim/race-sql';
import type { StartListEntry } from '@app/fleet-sim/start-list';
import { migrate } from '@app/migrate/migrate';
import { eventTopic } from '@app/shared/topics';
import type { Credentials } from '@app/spectator/log-in';
import { createDatabase } from '@app/test-kit/database';
import { startDirectus, type TestDirectus } from '@app/test-kit/directus';
import { createDirectusTables } from '@app/test-kit/directus-tables';
import { Service } from '@app/test-kit/service';
import { Redis } from 'ioredis';
import postgres from 'postgres';

export interface Visitor extends Credentials {
  readonly userId: string;
}

export interface SystemOptions {
  readonly redisUrl: string;
  /** Of a role that may create databases. */
  readonly postgresUrl: string;
  readonly entries: readonly StartListEntry[];
  /** Of the first entry. */
  readonly startAtMs: number;
  readonly signal: AbortSignal;
  /** Further environment variables. */
  readonly settings?: {
    readonly processor?: Readonly<Record<string, string>>;
    readonly gateway?: Readonly<Record<string, string>>;
  };
}

export interface System {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly stream: string;
  readonly event: { readonly id: string; readonly topic: string };
  readonly directus: TestDirectus;
  /** May watch the event. */
  readonly visitor: Visitor;
  /** The allowed origin of pages: that of Directus, which serves the login page. */
  readonly origin: string;
  readonly processor: Service;
  readonly gateway: Service;
  readonly liveUrl: string;
  /** Stops it if it runs, starts it and waits until it is ready. */
  restartProcessor(): Promise<void>;
  /** The same, on another port. */
  restartGateway(): Promise<void>;
  /** Stops the services, then removes the database and the keys. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The demo may run for days. */
const keptLines = 400;

/**
 * Starts the whole system on the given servers: an event with its vehicles and a course, a Directus stand-in, the processor and the
 * gateway. It creates and removes a database and a stream with unique names: the servers may be a developer's own.
 */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { redisUrl, signal } = options;
  await using stack = new AsyncDisposableStack();

  const stream = `telemetry:demo-${randomBytes(6).toString('hex')}`;
  const eventId = randomUUID();
  stack.defer(() => deleteKeys(redisUrl, [stream, eventId]));
  const database = stack.use(await createDatabase(options.postgresUrl, 'demo'));
  await migrate(database.url, { signal });

  const visitor: Visitor = {
    userId: randomUUID(),
    email: 'spectator@example.org',
    password: randomBytes(9).toString('base64url'),
  };
  await fillDirectus(database.url, { ...options, eventId, visitor });
  const directus = stack.use(await startDirectus());
  directus.addUser(visitor);
  directus.allow(visitor.userId, eventId);

  const common = {
    NODE_ENV: 'production',
    REDIS_URL: redisUrl,
    POSTGRES_URL: database.url,
    REDIS_TELEMETRY_STREAM: stream,
    METRICS_PORT: '0',
  };
  const startProcessor = () =>
    new Service('processor', {
      keptLines,
      env: { ...common, INSTANCE_ID: 'processor-demo', ...options.settings?.processor },
    });
  const startGateway = () =>
    new Service('live-gateway', {
      keptLines,
      env: {
        ...common,
        INSTANCE_ID: 'live-gateway-demo',
        LIVE_WS_PORT: '0',
        LIVE_WS_HOST: '127.0.0.1',
        // Programs, such as tools/spectator, send no Origin.
        LIVE_ALLOWED_ORIGINS: `${directus.url},none`,
        DIRECTUS_BASE_URL: directus.url,
        // There is no load balancer to wait for.
        LIVE_WS_DRAIN_NOTICE_MS: '0',
        ...options.settings?.gateway,
      },
    });
  let processor = startProcessor();
  let gateway = startGateway();
  stack.defer(async () => {
    await Promise.all([processor.stop(), gateway.stop()]);
  });
  await Promise.all([processor.untilReady(signal), gateway.untilReady(signal)]);
  let liveUrl = await findLiveUrl(gateway, signal);

  const owned = stack.move();
  return {
    redisUrl,
    databaseUrl: database.url,
    stream,
    event: { id: eventId, topic: eventTopic(eventId) },
    directus,
    visitor,
    origin: directus.url,
    get processor() {
      return processor;
    },
    get gateway() {
      return gateway;
    },
    get liveUrl() {
      return liveUrl;
    },
    restartProcessor: async () => {
      await processor.stop();
      processor = startProcessor();
      await processor.untilReady(signal);
    },
    restartGateway: async () => {
      await gateway.stop();
      gateway = startGateway();
      await gateway.untilReady(signal);
      liveUrl = await findLiveUrl(gateway, signal);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function findLiveUrl(gateway: Service, signal: AbortSignal): Promise<string> {
  return `ws://127.0.0.1:${await gateway.readNumber('wsPort', signal)}/ws-live`;
}

async function fillDirectus(
  databaseUrl: string,
  content: Pick<SystemOptions, 'entries' | 'startAtMs'> & {
    readonly eventId: string;
    readonly visitor: Visitor;
  },
): Promise<void> {
  const { eventId, entries, startAtMs, visitor } = content;
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  try {
    await createDirectusTables(sql);
    await sql`insert into directus_users (id, email) values (${visitor.userId}, ${visitor.email})`;
    const startAt = `'${new Date(startAtMs).toISOString()}'::timestamptz`;
    await sql.unsafe(raceSql({ eventId, entries, startAt }));
  } finally {
    await sql.end();
  }
}

/** All keys with one of these in their names: the stream with its dead letters, attempts and epoch, and those of the event. */
async function deleteKeys(redisUrl: string, names: readonly string[]): Promise<void> {
  const redis = new Redis(redisUrl, { retryStrategy: null, maxRetriesPerRequest: 0 });
  redis.on('error', () => undefined); // The command rejects as well.
  try {
    for (const name of names) {
      for await (const keys of redis.scanStream({ match: `*${name}*`, count: 1_000 })) {
        if (Array.isArray(keys) && keys.length > 0) await redis.unlink(...keys);
      }
    }
  } finally {
    redis.disconnect();
  }
}
