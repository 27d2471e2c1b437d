import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from '@app/test-kit/eventually';

export interface GatewayOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly directusUrl: string;
  readonly stream: string;
  readonly instanceId?: string;
  /** Further settings; they win over those of the test. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningGateway extends AsyncDisposable {
  readonly wsUrl: string;
  readonly opsUrl: string;
  /** Every line of its log so far. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** What it wrote to stdout and stderr, as it is. */
  output(): string;
  /** Waits until it says that it is ready. */
  ready(): Promise<void>;
  /** The value of a metric: the sum over all series whose labels contain those given. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

export const testOrigin = 'https://live.example.org';

const lifelineUrl = new URL('end-with-parent.ts', import.meta.url).href;
const mainPath = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Starts a gateway in a process of its own, on free ports, and waits until it listens. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const child = spawn(process.execPath, ['--import', lifelineUrl, mainPath], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
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
      LIVE_BROADCAST_BATCH_BLOCK_MS: '500',
      LIVE_WS_DRAIN_NOTICE_MS: '0',
      LIVE_WS_DRAIN_TIMEOUT_MS: '200',
      ...options.env,
    },
  });
  const exited = once(child, 'exit');
  const log: Readonly<Record<string, unknown>>[] = [];
  let output = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    output += `${line}\n`;
    log.push(JSON.parse(line));
  });
  child.stderr.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exited;
  };
  const listening = await eventually(
    () => log.find(({ msg }) => msg === 'listening') ?? (child.exitCode === null ? undefined : 'ended'),
    { timeoutMs: 15_000 },
  ).catch(() => 'silent' as const);
  if (typeof listening === 'string') {
    await kill();
    throw new Error(`the gateway does not listen; exit code ${child.exitCode}; it says: ${output}`);
  }
  const opsUrl = `http://127.0.0.1:${String(listening['metricsPort'])}`;
  return {
    wsUrl: `ws://127.0.0.1:${String(listening['wsPort'])}/ws-live`,
    opsUrl,
    log,
    output: () => output,
    ready: async () => {
      await eventually(
        async () => {
          const response = await fetch(`${opsUrl}/readyz`);
          if (!response.ok) throw new Error(await response.text());
          return true;
        },
        { timeoutMs: 15_000 },
      );
    },
    metric: async (name, labels = {}) => {
      const text = await (await fetch(`${opsUrl}/metrics`)).text();
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        .filter((line) => wanted.every((label) => line.includes(label)))
        .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
        .reduce((sum, value) => sum + value, 0);
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      return child.exitCode;
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
