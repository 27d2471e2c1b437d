import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventTopic } from '@app/shared/topics';
import { startDirectus, type TestDirectus } from '@app/test-kit/directus';
import { createDirectusTables, seedEvent } from '@app/test-kit/directus-tables';
import { Program } from '@app/test-kit/program';
import type { Service } from '@app/test-kit/service';
import { startService } from '../start-service.ts';
import type { BenchServers } from '../servers.ts';
import type { ClientsOptions } from './clients.ts';
import type { FeederOptions } from './feeder.ts';

export const origin = 'https://bench.example.org';

/** An event with its devices, and users who may watch it. */
export interface Race extends AsyncDisposable {
  readonly servers: BenchServers;
  readonly directus: TestDirectus;
  readonly stream: string;
  readonly topic: string;
  readonly imeis: readonly string[];
  /** Session cookies of users who may watch the event. */
  readonly sessions: readonly string[];
}

export async function openRace(servers: BenchServers, devices: number, users: number): Promise<Race> {
  await createDirectusTables(servers.sql);
  const directus = await startDirectus();
  const eventId = randomUUID();
  const trackers = Array.from({ length: devices }, () => ({
    id: randomUUID(),
    imei: `35${randomInt(1e12, 1e13 - 1)}`,
  }));
  await seedEvent(servers.sql, { eventId, devices: trackers });
  const sessions = Array.from({ length: users }, () => {
    const [userId, session] = [randomUUID(), `session.${randomUUID()}`];
    directus.addSession(session, userId);
    directus.allow(userId, eventId);
    return session;
  });
  return {
    servers,
    directus,
    stream: `${servers.keyPrefix}telemetry`,
    topic: eventTopic(eventId),
    imeis: trackers.map(({ imei }) => imei),
    sessions,
    [Symbol.asyncDispose]: () => directus[Symbol.asyncDispose](),
  };
}

/** Sends a fix per second of every device until it is disposed. */
export async function startFeed({ servers, stream, imeis }: Race): Promise<Program> {
  const options: FeederOptions = { redisUrl: servers.redisUrl, stream, imeis };
  const feeder = new Program({
    main: new URL('feeder.ts', import.meta.url),
    env: { FEEDER: JSON.stringify(options) },
  });
  await feeder.line(({ isFeeding }) => isFeeding);
  return feeder;
}

/** Runs `measure` while the devices send, from `afterMs` after they began. */
export async function whileFed<T>(race: Race, afterMs: number, measure: () => Promise<T>): Promise<T> {
  await using feed = await startFeed(race);
  await sleep(afterMs);
  const result = await measure();
  if (!feed.isRunning) throw await feed.exitError();
  return result;
}

/** Starts the real service with its defaults, except for what many clients of few users need. */
export async function startGateway({
  servers,
  directus,
  stream,
}: Pick<Race, 'servers' | 'directus' | 'stream'>): Promise<Service & { readonly url: string }> {
  const service = await startService('live-gateway', {
    INSTANCE_ID: `bench-${process.pid}`,
    REDIS_URL: servers.redisUrl,
    POSTGRES_URL: servers.postgresUrl,
    REDIS_TELEMETRY_STREAM: stream,
    DIRECTUS_BASE_URL: directus.url,
    LIVE_WS_HOST: '127.0.0.1',
    LIVE_WS_PORT: '0',
    METRICS_PORT: '0',
    LIVE_ALLOWED_ORIGINS: origin,
    LIVE_MAX_CONNECTIONS: '100000',
    LIVE_MAX_CONNECTIONS_PER_USER: '10000',
    LIVE_WS_DRAIN_NOTICE_MS: '0',
    LIVE_WS_DRAIN_TIMEOUT_MS: '0',
    // Periodic work must not count as the cost of clients.
    LIVE_DEVICE_EVENT_REFRESH_MS: '600000',
  });
  await service.untilReady();
  return Object.assign(service, { url: `ws://127.0.0.1:${await service.readNumber('wsPort')}/ws-live` });
}

/** Clients of a gateway; by default they only count frames. */
export function clientsOptions(
  race: Race,
  url: string,
  clients: number,
  more: Partial<ClientsOptions> = {},
): ClientsOptions {
  return {
    url,
    dialect: 'live',
    clients,
    openPerS: 1000,
    origin,
    sessions: race.sessions,
    topic: race.topic,
    boxes: [],
    localAddresses: ['127.0.0.1'],
    readsPositions: false,
    resumes: false,
    ...more,
  };
}
