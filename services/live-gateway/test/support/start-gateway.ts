import { eventually } from '@app/test-kit/eventually';
import { Service } from '@app/test-kit/service';

export interface GatewayOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly directusUrl: string;
  readonly stream: string;
  readonly instanceId?: string;
  /** A module that is loaded before its own code. */
  readonly preload?: URL;
  /** Further settings, by their names in the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningGateway extends AsyncDisposable {
  readonly wsUrl: string;
  readonly opsUrl: string;
  /** Every line of its output so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** All that it wrote to stdout and stderr. */
  output(): string;
  /** Waits until `/readyz` answers 200. */
  ready(): Promise<void>;
  /** The sum over the series with these labels; 0 where there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
  /** SIGSTOP; resolves after this time, with the process still stopped. */
  freeze(ms: number): Promise<void>;
  /** SIGCONT. */
  resume(): void;
}

export const testOrigin = 'https://live.example.org';

/** Starts a gateway in a process of its own, on free ports, and waits until it listens. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  await using stack = new AsyncDisposableStack();
  const gateway = stack.use(
    new Service('live-gateway', {
      preload: options.preload === undefined ? [] : [options.preload],
      env: {
        NODE_ENV: 'test',
        INSTANCE_ID: options.instanceId ?? 'gateway-test',
        REDIS_URL: options.redisUrl,
        POSTGRES_URL: options.postgresUrl,
        REDIS_TELEMETRY_STREAM: options.stream,
        DIRECTUS_BASE_URL: options.directusUrl,
        LIVE_WS_HOST: '127.0.0.1',
        LIVE_WS_PORT: '0',
        METRICS_PORT: '0',
        LIVE_ALLOWED_ORIGINS: testOrigin,
        LIVE_TICK_MS: '50',
        LIVE_DEVICE_EVENT_REFRESH_MS: '200',
        LIVE_SUSPENDED_POLL_MS: '200',
        LIVE_BROADCAST_BATCH_BLOCK_MS: '500',
        LIVE_WS_DRAIN_NOTICE_MS: '0',
        LIVE_WS_DRAIN_TIMEOUT_MS: '200',
        ...options.env,
      },
    }),
  );
  const { wsPort } = await gateway.logged(/^listening$/u);
  const opsUrl = await gateway.opsUrl();
  const running = stack.move();
  return {
    wsUrl: `ws://127.0.0.1:${String(wsPort)}/ws-live`,
    opsUrl,
    log: gateway.lines,
    output: () => gateway.stdout + gateway.stderr,
    ready: () => gateway.untilReady(),
    metric: async (name, labels) => (await gateway.metrics(name, labels)) ?? 0,
    stop: async () => (await gateway.stop()).code,
    kill: () => gateway.crash(),
    freeze: async (ms) => {
      gateway.kill('SIGSTOP');
      const endsAtMs = performance.now() + ms;
      await eventually(() => performance.now() >= endsAtMs, { timeoutMs: 2 * ms });
    },
    resume: () => gateway.kill('SIGCONT'),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
