import { hostname } from 'node:os';
import { ConfigError, readConfig } from '@app/runtime/config';
import { expect, test } from 'vitest';
import { gatewaySettings, instanceId } from '../src/config.ts';

const least = {
  REDIS_URL: 'redis://localhost:6379',
  POSTGRES_URL: 'postgres://localhost/tracking',
  REDIS_TELEMETRY_STREAM: 'telemetry:teltonika',
  DIRECTUS_BASE_URL: 'http://localhost:8055/directus/',
  LIVE_ALLOWED_ORIGINS: 'https://live.example.org, http://localhost:5173, none',
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(gatewaySettings, { ...least, ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test('the least configuration gives the documented defaults, and the host as the name', () => {
  const config = readConfig(gatewaySettings, least);
  expect(config).toMatchObject({
    LIVE_WS_PORT: 8081,
    LIVE_WS_PATH: '/ws-live',
    LIVE_TICK_MS: 125,
    LIVE_DEVICE_EVENT_REFRESH_MS: 30_000,
    AUTH_CACHE_TTL_MS: 10_000,
    DIRECTUS_SESSION_COOKIE: 'directus_session_token',
    DIRECTUS_BASE_URL: 'http://localhost:8055/directus',
    LIVE_ALLOWED_ORIGINS: {
      origins: ['https://live.example.org', 'http://localhost:5173'],
      allowMissing: true,
    },
  });
  expect(instanceId(config)).toBe(hostname());
});

test.each([
  '*',
  'null',
  'https://live.example.org/',
  'live.example.org',
  'HTTPS://live.example.org',
  '',
  ' , ',
])('an origin cannot be %j', (origin) => {
  expect(problemsOf({ LIVE_ALLOWED_ORIGINS: origin })).toHaveLength(1);
});

test('everything that is wrong is said at once, by name', () => {
  const problems = problemsOf({
    LIVE_ALLOWED_ORIGINS: 'null',
    LIVE_TRUSTED_PROXIES: 'my-proxy',
    LIVE_WS_PATH: 'ws-live',
    LIVE_TICK_MS: '1.5',
  });
  expect(new Set(problems.map((problem) => problem.split(' ')[0]))).toEqual(
    new Set(['LIVE_ALLOWED_ORIGINS', 'LIVE_TICK_MS', 'LIVE_TRUSTED_PROXIES', 'LIVE_WS_PATH']),
  );
});
