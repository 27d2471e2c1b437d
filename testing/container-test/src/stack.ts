import { fileURLToPath } from 'node:url';
import { eventually } from '@app/test-kit/eventually';
import { findFreePort } from '@app/test-kit/free-port';
import { docker, type DockerOptions } from './docker.ts';

export interface Container {
  readonly name: string;
  /** Health status; `none` without a health check. */
  readonly health: string;
  readonly isRunning: boolean;
  readonly exitCode: number;
}

export type Stack = Awaited<ReturnType<typeof prepareStack>>;

const repository = fileURLToPath(new URL('../../..', import.meta.url));
const project = 'live-tracking-container-test';
const password = 'development';
export const admin = { email: 'admin@example.org', password };

const buildTimeoutMs = 480_000;
const upTimeoutMs = 240_000;
const healthyTimeoutMs = 120_000;

/** The system in containers, in its own compose project, so that a developer's stack is not touched. */
export async function prepareStack() {
  const [http, redis, postgres, prometheus] = await Promise.all([
    findFreePort(),
    findFreePort(),
    findFreePort(),
    findFreePort(),
  ]);
  const env = {
    DOCKER_BUILDKIT: '1',
    HTTP_PORT: String(http),
    REDIS_PORT: String(redis),
    POSTGRES_PORT: String(postgres),
    PROMETHEUS_PORT: String(prometheus),
    POSTGRES_IMAGE: process.env['POSTGRES_IMAGE'] ?? 'postgres:17-trixie',
    PROMETHEUS_IMAGE: process.env['PROMETHEUS_IMAGE'] ?? 'prom/prometheus:latest',
    // Short, since there are only a few viewers.
    LIVE_WS_DRAIN_NOTICE_MS: '1000',
    LIVE_WS_DRAIN_TIMEOUT_MS: '3000',
  };
  const compose = (args: readonly string[], options: DockerOptions = {}): Promise<string> =>
    docker(
      [
        'compose',
        `--project-name=${project}`,
        `--project-directory=${repository}`,
        `--file=${repository}/docker-compose.yml`,
        `--file=${repository}/testing/container-test/compose.yml`,
        // Ignore a developer's .env.
        '--env-file=/dev/null',
        '--profile=*',
        ...args,
      ],
      { ...options, env: { ...env, ...options.env } },
    );
  const down = (): Promise<string> => compose(['down', '--volumes', '--remove-orphans', '--timeout', '5']);

  const containersOf = async (service: string): Promise<readonly Container[]> => {
    const ids = (await compose(['ps', '--all', '--quiet', service])).split('\n').filter((id) => id !== '');
    const containers = await Promise.all(ids.map(inspect));
    return containers.toSorted((a, b) => a.name.localeCompare(b.name));
  };

  // Remove what a killed run has left.
  await down();
  return {
    httpUrl: `http://127.0.0.1:${http}`,
    liveUrl: `ws://127.0.0.1:${http}/ws-live`,
    redisUrl: `redis://admin:${password}@127.0.0.1:${redis}`,
    postgresUrl: `postgres://tracking:${password}@127.0.0.1:${postgres}/tracking`,
    prometheusUrl: `http://127.0.0.1:${prometheus}`,
    build: async () => {
      await compose(['build', '--quiet'], { timeoutMs: buildTimeoutMs });
    },
    up: async (services: readonly string[]) => {
      await compose(['up', '--detach', '--no-build', ...services], { timeoutMs: upTimeoutMs });
    },
    containersOf,
    containerOf: async (service: string): Promise<Container> => {
      const [container, ...more] = await containersOf(service);
      if (container === undefined || more.length > 0)
        throw new Error(`${service} has ${more.length + 1} containers`);
      return container;
    },
    untilHealthy: async (name: string) => {
      const check = async (): Promise<true> => {
        const { health } = await inspect(name);
        if (health !== 'healthy') throw new Error(`${name} is ${health}`);
        return true;
      };
      await eventually(check, { timeoutMs: healthyTimeoutMs, intervalMs: 200 });
    },
    /** The last log lines of all containers. */
    recentLogs: () => compose(['logs', '--no-color', '--tail', '40']),
    [Symbol.asyncDispose]: async () => {
      await down();
    },
  };
}

/** Names of the project's containers, volumes and networks. */
export async function listResources(): Promise<readonly string[]> {
  const filter = ['--filter', `label=com.docker.compose.project=${project}`];
  const lists = await Promise.all([
    docker(['ps', '--all', '--format', '{{.Names}}', ...filter]),
    docker(['volume', 'ls', '--format', '{{.Name}}', ...filter]),
    docker(['network', 'ls', '--format', '{{.Name}}', ...filter]),
  ]);
  return lists.flatMap((list) => list.split('\n')).filter((name) => name !== '');
}

async function inspect(id: string): Promise<Container> {
  const format =
    '{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}} {{.State.Running}} {{.State.ExitCode}}';
  const [name = '', health = '', isRunning, exitCode] = (
    await docker(['inspect', '--format', format, id])
  ).split(' ');
  return {
    name: name.replace(/^\//u, ''),
    health,
    isRunning: isRunning === 'true',
    exitCode: Number(exitCode),
  };
}
