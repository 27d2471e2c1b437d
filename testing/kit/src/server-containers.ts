import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { startContainer } from './container.ts';
import type { ContainerEngine } from './container-engine.ts';
import { eventually } from './eventually.ts';
import { connectOnce, type PostgresSettings } from './postgres-server.ts';

export type ServerContainer = { readonly url: string; readonly from: string } & AsyncDisposable;

const redisImage = 'redis:8-trixie';
const postgresImage = 'postgres:17-trixie';
export const timescaleImage = 'timescale/timescaledb:latest-pg17';

// The engine opens the port before the server listens.
const readyTimeoutMs = 60_000;

export async function startRedisContainer(
  engine: ContainerEngine,
): Promise<ServerContainer | { readonly missing: string }> {
  const container = await startContainer(engine, {
    image: redisImage,
    port: 6379,
    // Protected mode refuses connections through a forwarded port.
    command: ['redis-server', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', ''],
    environment: {},
  });
  if ('missing' in container) return container;
  const url = `redis://${container.host}:${container.port}`;
  await eventually(() => pingOnce(url), { timeoutMs: readyTimeoutMs, intervalMs: 50 });
  return { ...container, url, from: `container ${redisImage}` };
}

export async function startPostgresContainer(
  engine: ContainerEngine,
  settings: PostgresSettings,
  image = postgresImage,
): Promise<ServerContainer | { readonly missing: string }> {
  const password = randomBytes(12).toString('hex');
  const allSettings = { max_connections: '200', timezone: 'UTC', ...settings };
  const container = await startContainer(engine, {
    image,
    port: 5432,
    command: [
      'postgres',
      ...Object.entries(allSettings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    environment: { POSTGRES_PASSWORD: password },
  });
  if ('missing' in container) return container;
  const url = `postgres://postgres:${password}@${container.host}:${container.port}/postgres`;
  await eventually(() => connectOnce(url), { timeoutMs: readyTimeoutMs, intervalMs: 50 });
  return { ...container, url, from: `container ${image}` };
}

async function pingOnce(url: string): Promise<boolean> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1000 });
  // The commands reject with the error.
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } finally {
    redis.disconnect();
  }
}
