import { hostname } from 'node:os';
import {
  byteCount,
  commonSettings,
  durationMs,
  name,
  port,
  positiveInt,
  text,
  urlOf,
} from '@app/runtime/config';
import { defaultFutureFlagMs } from '@app/shared/quality';
import { z } from 'zod';
import { parseAllowedOrigins } from './access/allowed-origins.ts';
import { parseTrustedProxies } from './server/client-address.ts';

const hourMs = 3_600_000;

/** Every environment variable of the gateway, with its meaning, unit and default. */
export const gatewaySettings = z.object({
  ...commonSettings,
  LIVE_WS_HOST: text({ maxLength: 255 })
    .default('0.0.0.0')
    .meta({ description: 'The address that clients connect to.' }),
  LIVE_WS_PORT: port()
    .default(8081)
    .meta({ description: 'The port that clients connect to; 0 takes a free one, which the log names.' }),
  LIVE_WS_PATH: z
    .string()
    .regex(/^\/[\w./-]*$/u)
    .default('/ws-live')
    .meta({ expected: 'a path that starts with a slash', description: 'The path of the WebSocket.' }),
  LIVE_ALLOWED_ORIGINS: z
    .string()
    .transform((value, context) => {
      const origins = parseAllowedOrigins(value);
      if (typeof origins !== 'string') return origins;
      context.addIssue({ code: 'custom', message: origins });
      return z.NEVER;
    })
    .meta({
      expected: 'a comma-separated list of origins',
      description: 'The pages that may connect. The word none also lets clients in that send no Origin.',
      example: 'https://live.example.org,none',
    }),
  LIVE_TRUSTED_PROXIES: z
    .string()
    .default('')
    .superRefine((value, context) => {
      const proxies = parseTrustedProxies(value);
      if (typeof proxies === 'string') context.addIssue({ code: 'custom', message: proxies });
    })
    .meta({
      expected: 'a comma-separated list of addresses and networks',
      description: 'The proxies whose X-Forwarded-For is believed; none unless set.',
      example: '10.0.0.0/8',
    }),
  LIVE_TICK_MS: durationMs({ min: 20, max: 1000 })
    .default(125)
    .meta({ description: 'How often changes are written; the fastest rate that a client can have.' }),
  LIVE_MAX_CONNECTIONS: positiveInt({ max: 1_000_000 })
    .default(20_000)
    .meta({ description: 'Connections of this replica; more are told to come back later.' }),
  LIVE_MAX_CONNECTIONS_PER_USER: positiveInt({ max: 10_000 })
    .default(20)
    .meta({ description: 'Connections of one user to this replica; one more closes the oldest.' }),
  LIVE_MAX_CONNECTION_AGE_MS: durationMs().default(0).meta({
    description:
      'A connection older than this is asked to reconnect, within the tenth part of it; 0 lets all live for ever.',
  }),
  LIVE_MAX_HEADER_BYTES: byteCount({ min: 1024, max: 65_536 })
    .default(16_384)
    .meta({ description: 'The longest head of a request to upgrade, all cookies included; more is a 431.' }),
  LIVE_MAX_SUBSCRIPTIONS: positiveInt({ max: 1000 })
    .default(16)
    .meta({ description: 'Subscriptions of one connection.' }),
  LIVE_MESSAGE_RATE_PER_S: positiveInt({ max: 1000 })
    .default(10)
    .meta({ description: 'Messages a second that one connection may send; twice as many at once.' }),
  LIVE_HIGH_WATER_BYTES: byteCount({ max: 16_777_216 }).default(65_536).meta({
    description: 'A client with more unsent bytes is behind: it gets nothing until it has taken some.',
  }),
  LIVE_UNANSWERED_BYTES: byteCount({ max: 16_777_216 }).default(65_536).meta({
    description: 'So is one that has not answered a ping before the last so many bytes.',
  }),
  LIVE_LAG_LIMIT_MS: durationMs({ min: 1000 })
    .default(15_000)
    .meta({ description: 'A client that is behind for longer than this is cut.' }),
  LIVE_MAX_FIX_AGE_MS: durationMs()
    .default(24 * hourMs)
    .meta({ description: 'A last fix older than this is not shown.' }),
  LIVE_HYDRATE_LOOKBACK_MS: durationMs()
    .default(24 * hourMs)
    .meta({ description: 'How far back Postgres is searched for the last fix of a device.' }),
  LIVE_WARM_WINDOW_MS: durationMs()
    .default(60_000)
    .meta({ description: 'How much of the stream is read again at a start: more than the processor lags.' }),
  LIVE_DEVICE_EVENT_REFRESH_MS: durationMs({ min: 100 })
    .default(30_000)
    .meta({ description: 'How often assignments and last fixes are read from Postgres again.' }),
  LIVE_WS_PING_INTERVAL_MS: durationMs({ min: 1000 }).default(20_000).meta({
    description: 'How often a client is pinged; after 2.5 times this without a sign of life it is cut.',
  }),
  LIVE_HEARTBEAT_MS: durationMs({ min: 100 })
    .default(25_000)
    .meta({ description: 'A client that was sent nothing for so long gets a heartbeat.' }),
  LIVE_PLAIN_DIALECT: z
    .enum(['on', 'off'])
    .default('on')
    .transform((value) => value === 'on')
    .meta({
      expected: 'on or off',
      description: 'Whether clients are let in that do not speak live.v1: they are shown IMEIs.',
    }),
  LIVE_WS_DRAIN_TIMEOUT_MS: durationMs({ max: 600_000 })
    .default(20_000)
    .meta({ description: 'Over how long a stop spreads the departure of the clients.' }),
  LIVE_WS_DRAIN_NOTICE_MS: durationMs({ min: 0, max: 60_000 }).default(5000).meta({
    description: 'How long a stop waits for the balancer to notice, before it closes the port.',
  }),
  LIVE_BROADCAST_GROUP_PREFIX: name()
    .default('live-broadcast')
    .meta({ description: 'The bookmark of a replica on each stream is this, a hyphen and INSTANCE_ID.' }),
  LIVE_BROADCAST_BATCH_SIZE: positiveInt({ max: 10_000 })
    .default(500)
    .meta({ description: 'Entries asked for in one read of the stream (COUNT).' }),
  LIVE_BROADCAST_BATCH_BLOCK_MS: durationMs({ min: 1, max: 60_000 })
    .default(2000)
    .meta({ description: 'How long a read of the stream waits for entries (BLOCK).' }),
  FUTURE_FLAG_MS: durationMs()
    .default(defaultFutureFlagMs)
    .meta({ description: 'A fix further ahead of its arrival is not shown; as the processor has it.' }),
  DIRECTUS_BASE_URL: urlOf('http:', 'https:')
    .transform((url) => url.replace(/\/+$/u, ''))
    .meta({ description: 'The Directus that knows users and events.', example: 'http://localhost:8055' }),
  DIRECTUS_SESSION_COOKIE: name()
    .default('directus_session_token')
    .meta({ description: 'The name of the session cookie.' }),
  DIRECTUS_AUTH_TIMEOUT_MS: durationMs({ min: 100, max: 60_000 })
    .default(5000)
    .meta({ description: 'The time limit of asking who a visitor is, the wait for a turn included.' }),
  DIRECTUS_AUTHZ_TIMEOUT_MS: durationMs({ min: 100, max: 60_000 })
    .default(5000)
    .meta({ description: 'The time limit of asking whether a user may see an event.' }),
  AUTH_CACHE_TTL_MS: durationMs()
    .default(10_000)
    .meta({ description: 'How long it is remembered who a session belongs to.' }),
  AUTHZ_CACHE_TTL_MS: durationMs().default(30_000).meta({
    description: 'How long it is remembered that a session may see an event; a refusal 5 s at most.',
  }),
  REAUTHORIZE_INTERVAL_MS: durationMs({ min: 100 }).default(300_000).meta({
    description: 'How often it is asked whether those who watch still may; a quarter more or less.',
  }),
  REAUTHORIZE_GRACE_MS: durationMs().default(900_000).meta({
    description: 'How long those who watch may go on when that cannot be asked because Directus is down.',
  }),
});

export type GatewayConfig = Readonly<z.output<typeof gatewaySettings>>;

/** This replica's name; in Kubernetes the pod name. */
export function instanceId(config: GatewayConfig): string {
  return config.INSTANCE_ID ?? hostname();
}

/** This replica's lag-marker group, and the name of its Redis and Postgres connections. */
export function lagMarkerGroup(config: GatewayConfig): string {
  return `${config.LIVE_BROADCAST_GROUP_PREFIX}-${instanceId(config)}`;
}
