import { randomInt, randomUUID } from 'node:crypto';
import { createLog } from '@app/runtime/log';
import { connectPostgres } from '@app/runtime/postgres';
import { encodeFields } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import { startDirectus } from '@app/test-kit/directus';
import type { TestDirectus } from '@app/test-kit/directus';
import { seedEvent } from '@app/test-kit/directus-tables';
import { eventually } from '@app/test-kit/eventually';
import { openServerFixture, type ServerFixture } from '@app/test-kit/server-fixture';
import type postgres from 'postgres';
import { startGateway } from './start-gateway.ts';
import type { GatewayOptions, RunningGateway } from './start-gateway.ts';

export interface TestDevice {
  readonly id: string;
  readonly imei: string;
}

/** A stream, a database and a Directus, with functions to fill them and to run gateways on them. */
export interface Fixture extends ServerFixture {
  /** A client of Postgres with the settings of the gateway's own. */
  readonly gatewaySql: postgres.Sql;
  readonly directus: TestDirectus;
  /** Starts a gateway of this fixture; it ends with it. */
  start(options?: Partial<GatewayOptions>): Promise<RunningGateway>;
  /** Adds an event with this number of devices. */
  addEvent(
    deviceCount: number,
  ): Promise<{ readonly eventId: string; readonly devices: readonly TestDevice[] }>;
  /** Adds a user with a session that may see these events; `session` is the cookie value. */
  addViewer(...eventIds: readonly string[]): { readonly session: string; readonly userId: string };
  /** Ends `directus.misbehave`; resolves once Directus answers. */
  healDirectus(): Promise<void>;
  /** Adds a fix to the stream as tcp-ingestion does; returns the entry id. */
  publish(position: Position): Promise<string>;
  /** Inserts a fix into `positions` as the processor does. */
  store(position: Position, options?: { readonly quality?: number }): Promise<void>;
}

/** Servers to use instead of the shared ones, for tests that break them. */
export interface OwnServers {
  readonly redisUrl?: string;
  readonly postgresUrl?: string;
}

export async function openFixture(own: OwnServers = {}): Promise<Fixture> {
  await using stack = new AsyncDisposableStack();
  const servers = stack.use(await openServerFixture(own));
  const { redisUrl, postgresUrl, redis, sql, stream } = servers;
  const directus = stack.use(await startDirectus());
  const log = createLog({ service: 'live-gateway', instanceId: 'test', level: 'silent' });
  const gatewaySql = connectPostgres(postgresUrl, {
    name: 'test',
    log,
    maxConnections: 1,
    statementTimeoutMs: 10_000,
  });
  stack.defer(() => gatewaySql.end({ timeout: 1 }));
  const resources = stack.move();
  return {
    ...servers,
    gatewaySql,
    directus,
    start: async (options = {}) =>
      resources.use(
        await startGateway({ redisUrl, postgresUrl, directusUrl: directus.url, stream, ...options }),
      ),
    addEvent: async (deviceCount) => {
      const eventId = randomUUID();
      const devices = Array.from({ length: deviceCount }, newDevice);
      await seedEvent(sql, { eventId, devices });
      return { eventId, devices };
    },
    addViewer: (...eventIds) => {
      const userId = randomUUID();
      const session = `session.${randomUUID()}`;
      directus.addSession(session, userId);
      for (const eventId of eventIds) directus.allow(userId, eventId);
      return { session, userId };
    },
    healDirectus: async () => {
      directus.misbehave('ok');
      await eventually(async () => (await fetch(`${directus.url}/server/ping`)).ok);
    },
    publish: async (position) => {
      const id = await redis.xadd(stream, '*', ...encodeFields({ position, codec: '8E' }));
      if (id === null) throw new Error('XADD returned no id');
      return id;
    },
    store: async (position, { quality = 0 } = {}) => {
      await sql`
        insert into positions
          (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality)
        values
          (${position.deviceId}, ${new Date(position.fixAtMs)}, ${position.latitude}, ${position.longitude},
           ${position.altitudeM}, ${position.courseDeg}, ${position.speedKmh}, ${position.satellites},
           ${position.priority}, '8E', ${quality})`;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** @param at index of the device. */
export function deviceAt(devices: readonly TestDevice[], at = 0): TestDevice {
  const device = devices[at];
  if (device === undefined) throw new Error(`no device ${at}`);
  return device;
}

export function newDevice(): TestDevice {
  return { id: randomUUID(), imei: `35${randomInt(1e12, 1e13 - 1)}` };
}

/** A valid fix of now at 46.5° N 8.25° E, with these fields replaced. */
export function fixOf(device: TestDevice, fields: Partial<Position> = {}): Position {
  return {
    deviceId: device.imei,
    fixAtMs: Date.now(),
    latitude: 46.5,
    longitude: 8.25,
    altitudeM: 512,
    courseDeg: 90,
    speedKmh: 72.5,
    satellites: 9,
    priority: 0,
    attributes: {},
    ...fields,
  };
}
