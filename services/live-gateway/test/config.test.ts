import { hostname } from 'node:os';
import { ConfigError, readConfig } from '@app/runtime/config';
import { expect, test } from 'vitest';
import { gatewaySettings, instanceId } from '../src/config.ts';

const minimal = {
  REDIS_URL: 'redis://localhost:6379',
  POSTGRES_URL: 'postgres://localhost/tracking',
  REDIS_TELEMETRY_STREAM: 'telemetry:teltonika',
  DIRECTUS_BASE_URL: 'http://localhost:8055/directus/',
  LIVE_ALLOWED_ORIGINS: 'https://live.example.org, http://localhost:5173, none',
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(gatewaySettings, { ...minimal, ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test('a minimal configuration has the documented defaults and the host name as instance id', () => {
  const config = readConfig(gatewaySettings, minimal);
  expect(config).toMatchObject({
    LIVE_WS_PORT: 8081,
    LIVE_WS_PATH: '/ws-live',
    LIVE_TICK_MS: 125,
    LIVE_DEVICE_EVENT_REFRESH_MS: 30_000,
    LIVE_SUSPENDED_POLL_MS: 10_000,
    LIVE_ANONYMOUS_PER_ADDRESS: 0,
    LIVE_BEARER_TOKENS: false,
    AUTH_CACHE_TTL_MS: 10_000,
    LIVE_FORWARDED_HEADER: 'x-forwarded-for',
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
  'wss://live.example.org',
  'file://localhost',
  'capacitor://',
  'capacitor://localhost/',
  'Capacitor://localhost',
  'data:text/html',
  '',
  ' , ',
])('%j is not a valid origin list', (origin) => {
  expect(problemsOf({ LIVE_ALLOWED_ORIGINS: origin })).toHaveLength(1);
});

test('origins of apps and browser extensions are accepted as they are sent', () => {
  const origins = [
    'capacitor://localhost',
    'ionic://localhost',
    'app://localhost:8100',
    'moz-extension://0-a_b',
  ];
  expect(readConfig(gatewaySettings, { ...minimal, LIVE_ALLOWED_ORIGINS: origins.join(',') })).toMatchObject({
    LIVE_ALLOWED_ORIGINS: { origins, allowMissing: false },
  });
});

test('all invalid settings are reported at once, by name', () => {
  const problems = problemsOf({
    LIVE_ALLOWED_ORIGINS: 'null',
    LIVE_TRUSTED_PROXIES: 'my-proxy',
    LIVE_FORWARDED_HEADER: 'x-real-ip',
    LIVE_WS_PATH: 'ws-live',
    LIVE_TICK_MS: '1.5',
    LIVE_SUSPENDED_POLL_MS: '99',
    LIVE_TICKET_KEY: 'too short to be a key',
    LIVE_ANONYMOUS_PER_ADDRESS: 'on',
    LIVE_BEARER_TOKENS: 'yes',
  });
  expect(new Set(problems.map((problem) => problem.split(' ')[0]))).toEqual(
    new Set([
      'LIVE_ALLOWED_ORIGINS',
      'LIVE_ANONYMOUS_PER_ADDRESS',
      'LIVE_BEARER_TOKENS',
      'LIVE_FORWARDED_HEADER',
      'LIVE_SUSPENDED_POLL_MS',
      'LIVE_TICKET_KEY',
      'LIVE_TICK_MS',
      'LIVE_TRUSTED_PROXIES',
      'LIVE_WS_PATH',
    ]),
  );
  expect(problems.join()).not.toContain('too short to be a key');
});
