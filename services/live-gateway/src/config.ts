import { hostname } from 'node:os';
import {
  byteCount,
  commonSettings,
  durationMs,
  name,
  port,
  positiveInt,
  secret,
  string,
  urlOf,
  wholeNumber,
} from '@app/runtime/config';
import { defaultFutureFlagMs } from '@app/shared/quality';
import { z } from 'zod';
import { parseAllowedOrigins } from './access/allowed-origins.ts';
import { forwardedHeaders, parseTrustedProxies } from './server/client-address.ts';

const hourMs = 3_600_000;

/** The gateway's environment variables, with description, unit and default. */
export const gatewaySettings = z.object({
  ...commonSettings,
  INSTANCE_ID: name().optional().meta({
    description: 'Name of this replica; must be unique.',
    example: 'live-gateway-1',
  }),
  LIVE_WS_HOST: string({ maxLength: 255 })
    .default('0.0.0.0')
    .meta({ description: 'Address to accept clients on.' }),
  LIVE_WS_PORT: port()
    .default(8081)
    .meta({ description: 'Port to accept clients on; 0 picks a free one, which is logged.' }),
  LIVE_WS_PATH: z
    .string()
    .regex(/^\/[\w./-]*$/u)
    .default('/ws-live')
    .meta({
      expected: 'a path that starts with a slash',
      description: 'URL path of the WebSocket endpoint.',
    }),
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
      description: 'Origins that may connect; `none` also admits clients that send no Origin header.',
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
      description: 'Proxies whose LIVE_FORWARDED_HEADER is trusted; none by default.',
      example: '10.0.0.0/8',
    }),
  LIVE_FORWARDED_HEADER: z
    .string()
    .toLowerCase()
    .pipe(z.enum(forwardedHeaders))
    .default('x-forwarded-for')
    .meta({
      expected: 'x-forwarded-for or forwarded',
      description:
        'Header in which trusted proxies append the client address. Name the one that they set: the other one comes from the client.',
    }),
  LIVE_TICK_MS: durationMs({ min: 20, max: 1000 }).default(125).meta({
    description: 'Interval between writes of changed positions; limits the highest rate of a client.',
  }),
  LIVE_MAX_CONNECTIONS: positiveInt({ max: 1_000_000 })
    .default(20_000)
    .meta({ description: 'Maximum connections per replica; further upgrades get 503 with Retry-After.' }),
  LIVE_MAX_CONNECTIONS_PER_USER: positiveInt({ max: 10_000 })
    .default(20)
    .meta({ description: 'Maximum connections per user and replica; a further one closes the oldest.' }),
  LIVE_ANONYMOUS_PER_ADDRESS: wholeNumber({ min: 0, max: 1_000_000 }).default(0).meta({
    description:
      'Maximum connections without a login per address (IPv6: per /64 network) and replica, to events that Directus shows to everybody; 0 refuses them (401).',
  }),
  LIVE_BEARER_TOKENS: z
    .enum(['on', 'off'])
    .default('off')
    .transform((value) => value === 'on')
    .meta({
      expected: 'on or off',
      description:
        'Whether a Directus token in the header `Authorization: Bearer` is accepted instead of a session cookie, for clients that are not browsers.',
    }),
  LIVE_MAX_CONNECTION_AGE_MS: durationMs().default(0).meta({
    description:
      'Age from which a connection is closed (4000), at a random time, on average a tenth of it later; 0 for no limit.',
  }),
  LIVE_MAX_HEADER_BYTES: byteCount({ min: 1024, max: 65_536 }).default(16_384).meta({
    description:
      'Maximum size of the headers of an upgrade request, cookies included; a larger one gets 431.',
  }),
  LIVE_MAX_SUBSCRIPTIONS: positiveInt({ max: 1000 })
    .default(16)
    .meta({ description: 'Maximum subscriptions per connection.' }),
  LIVE_MESSAGE_RATE_PER_S: positiveInt({ max: 1000 })
    .default(10)
    .meta({ description: 'Maximum messages per second from a connection, with bursts of twice as many.' }),
  LIVE_HIGH_WATER_BYTES: byteCount({ max: 16_777_216 }).default(65_536).meta({
    description:
      'Maximum unsent bytes before a client counts as lagging and is sent nothing until it has read some.',
  }),
  LIVE_UNANSWERED_BYTES: byteCount({ max: 16_777_216 }).default(65_536).meta({
    description: 'Maximum bytes sent since the last answered ping before a client counts as lagging.',
  }),
  LIVE_LAG_LIMIT_MS: durationMs({ min: 1000 })
    .default(15_000)
    .meta({ description: 'Maximum time a client may lag before its connection is closed (4002).' }),
  LIVE_MAX_FIX_AGE_MS: durationMs()
    .default(24 * hourMs)
    .meta({ description: 'Age beyond which a latest fix is not shown.' }),
  LIVE_HYDRATE_LOOKBACK_MS: durationMs()
    .default(24 * hourMs)
    .meta({
      description:
        'How far back Postgres is searched for the latest fix of a device; capped by LIVE_MAX_FIX_AGE_MS.',
    }),
  LIVE_WARM_WINDOW_MS: durationMs().default(60_000).meta({
    description:
      'Window of the stream replayed at start-up; must exceed the worst expected lag of the processor.',
  }),
  LIVE_DEVICE_EVENT_REFRESH_MS: durationMs({ min: 100 }).default(30_000).meta({
    description: 'Interval between reads of assignments and latest fixes from Postgres.',
  }),
  LIVE_SUSPENDED_POLL_MS: durationMs({ min: 100 }).default(10_000).meta({
    description:
      'Interval between checks whether connected users are suspended; a user who connects is checked at once.',
  }),
  LIVE_WS_PING_INTERVAL_MS: durationMs({ min: 1000 }).default(20_000).meta({
    description: 'Interval between pings; a connection is closed after 2.5 intervals without any data.',
  }),
  LIVE_HEARTBEAT_MS: durationMs({ min: 100 }).default(25_000).meta({
    description:
      'Time without a frame after which a client is sent a heartbeat. Keep it below 30 s: clients count a server that is silent for 35 s as gone.',
  }),
  LIVE_PLAIN_DIALECT: z
    .enum(['on', 'off'])
    .default('on')
    .transform((value) => value === 'on')
    .meta({
      expected: 'on or off',
      description: 'Whether clients without the subprotocol live.v1 are admitted; they see IMEIs.',
    }),
  LIVE_COMPRESSION: z
    .enum(['on', 'off'])
    .default('on')
    .transform((value) => value === 'on')
    .meta({
      expected: 'on or off',
      description:
        'Whether positions are deflated for clients that ask for it, where at least 200 of them share a frame.',
    }),
  LIVE_WS_DRAIN_TIMEOUT_MS: durationMs({ max: 600_000 })
    .default(20_000)
    .meta({ description: 'Period over which connections are closed during shutdown, in random order.' }),
  LIVE_WS_DRAIN_NOTICE_MS: durationMs({ min: 0, max: 60_000 }).default(5000).meta({
    description: 'Time during shutdown for the load balancer to notice, before the port is closed.',
  }),
  LIVE_BROADCAST_GROUP_PREFIX: name().default('live-broadcast').meta({
    description: 'Prefix of the lag-marker consumer group `{prefix}-{INSTANCE_ID}` on each stream.',
  }),
  LIVE_BROADCAST_BATCH_SIZE: positiveInt({ max: 10_000 })
    .default(500)
    .meta({ description: 'Maximum entries per read of a stream (XREAD COUNT).' }),
  LIVE_BROADCAST_BATCH_BLOCK_MS: durationMs({ min: 1, max: 60_000 })
    .default(2000)
    .meta({ description: 'Maximum time a read of a stream waits for entries (XREAD BLOCK).' }),
  FUTURE_FLAG_MS: durationMs().default(defaultFutureFlagMs).meta({
    description:
      'A fix whose time is later than its arrival by more than this is not shown; must equal the value of the processor.',
  }),
  DIRECTUS_BASE_URL: urlOf('http:', 'https:')
    .transform((url) => url.replace(/\/+$/u, ''))
    .meta({
      description: 'URL of Directus, which authenticates users and authorises events.',
      example: 'http://localhost:8055',
    }),
  DIRECTUS_SESSION_COOKIE: name()
    .default('directus_session_token')
    .meta({ description: 'Name of the session cookie of Directus.' }),
  DIRECTUS_AUTH_TIMEOUT_MS: durationMs({ min: 100, max: 60_000 })
    .default(5000)
    .meta({ description: 'Deadline for authenticating a client at Directus, including queueing.' }),
  DIRECTUS_AUTHZ_TIMEOUT_MS: durationMs({ min: 100, max: 60_000 })
    .default(5000)
    .meta({ description: 'Deadline for authorising a client for an event at Directus, including queueing.' }),
  LIVE_TICKET_KEY: secret(string().min(32)).optional().meta({
    expected: 'at least 32 characters',
    description:
      'Secret shared by all replicas that encrypts session tickets; without it a refreshed session closes its connections (4001).',
  }),
  AUTH_CACHE_TTL_MS: durationMs()
    .default(10_000)
    .meta({ description: 'Cache TTL of authenticated sessions.' }),
  AUTHZ_CACHE_TTL_MS: durationMs().default(30_000).meta({
    description: 'Cache TTL of permissions; refusals are cached for 5 s at most.',
  }),
  REAUTHORIZE_INTERVAL_MS: durationMs({ min: 100 }).default(300_000).meta({
    description: 'Interval between re-authorisations of a subscription, plus or minus a quarter.',
  }),
  REAUTHORIZE_GRACE_MS: durationMs().default(900_000).meta({
    description:
      'How long a subscription is kept while it cannot be re-authorised because Directus does not answer.',
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
