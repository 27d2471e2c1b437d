import { findContainerEngine, type ContainerEngine } from './container-engine.ts';
import { startSupervisor, type Supervisor } from './supervisor.ts';
import { createPostgresCluster, startPostgresServer, type PostgresSettings } from './postgres-server.ts';
import { findRedisServer, howToGetRedis, startRedisServer } from './redis-server.ts';
import { startPostgresContainer, startRedisContainer, type ServerContainer } from './server-containers.ts';

/** A URL in the environment, a container, or a program on this machine. */
export type ServerSource = 'environment' | 'container' | 'local';

export interface ServersOptions {
  /** Tried in this order. Default: that of `TEST_SERVERS`, else all. */
  readonly sources?: readonly ServerSource[];
  /** For a Postgres started here. Default: durable; tests use `fastSettings`. */
  readonly postgresSettings?: PostgresSettings;
  /** Called with one line per server. Default: stderr. */
  readonly print?: (line: string) => void;
}

export interface Servers {
  readonly redisUrl: string;
  /** As a role that may create databases. */
  readonly postgresUrl: string;
  /** `REDIS_URL`, `container redis:8-trixie` or the path of a server. */
  readonly redisFrom: string;
  readonly postgresFrom: string;
  /** Ends the servers that were started here. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface FoundServer {
  readonly url: string;
  readonly from: string;
}

type Sources = Readonly<Record<ServerSource, () => Promise<FoundServer | undefined>>>;

/**
 * A Redis and a Postgres, each from the first available source: the URL in the environment (`REDIS_URL`,
 * `POSTGRES_URL`), a container if an engine answers within a second, a server on this machine.
 *
 * Started servers listen on 127.0.0.1 only, keep their data in a temporary folder and end with this process.
 */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  const sources = options.sources ?? readSources(process.env['TEST_SERVERS']);
  const print = options.print ?? printToStderr;
  await using started = new AsyncDisposableStack();

  let supervisor: Promise<Supervisor> | undefined;
  const supervisorOnce = async (): Promise<Supervisor> => {
    supervisor ??= startSupervisor().then((fresh) => started.use(fresh));
    return await supervisor;
  };
  const fromContainer = async (
    server: string,
    start: (engine: ContainerEngine) => Promise<ServerContainer | { readonly missing: string }>,
  ): Promise<FoundServer | undefined> => {
    const engine = await findContainerEngine();
    if (engine === undefined) return undefined;
    const container = await start(engine);
    if ('missing' in container) {
      print(`${server}: no container (${container.missing})`);
      return undefined;
    }
    return started.use(container);
  };
  const redisSources: Sources = {
    environment: () => fromEnvironment('REDIS_URL'),
    container: () => fromContainer('redis', startRedisContainer),
    local: async () => {
      const file = await findRedisServer();
      if (file === undefined) return undefined;
      const { port } = await startRedisServer(await supervisorOnce(), { file });
      return { url: `redis://127.0.0.1:${port}`, from: file };
    },
  };
  const postgresSources: Sources = {
    environment: () => fromEnvironment('POSTGRES_URL'),
    container: () =>
      fromContainer('postgres', (engine) => startPostgresContainer(engine, options.postgresSettings ?? {})),
    local: async () => {
      const cluster = await createPostgresCluster(await supervisorOnce());
      const { url } = await startPostgresServer(await supervisorOnce(), cluster, {
        settings: options.postgresSettings ?? {},
      });
      return { url, from: cluster.binaries.packageName };
    },
  };

  // Both settle before an error is thrown, so that the other server is disposed too.
  const [redis, postgres] = await Promise.allSettled([
    openFirst(sources, redisSources, `No Redis: ${howToGetRedis}`),
    openFirst(sources, postgresSources, 'No Postgres: set POSTGRES_URL'),
  ]);
  if (redis.status === 'rejected') throw redis.reason;
  if (postgres.status === 'rejected') throw postgres.reason;
  print(`redis: ${redis.value.from}`);
  print(`postgres: ${postgres.value.from}`);

  const owned = started.move();
  return {
    redisUrl: redis.value.url,
    redisFrom: redis.value.from,
    postgresUrl: postgres.value.url,
    postgresFrom: postgres.value.from,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function openFirst(
  sources: readonly ServerSource[],
  open: Sources,
  message: string,
): Promise<FoundServer> {
  for (const source of sources) {
    const found = await open[source]();
    if (found !== undefined) return found;
  }
  throw new Error(message);
}

async function fromEnvironment(name: string): Promise<FoundServer | undefined> {
  const url = process.env[name];
  return url === undefined || url === '' ? undefined : { url, from: name };
}

/** `TEST_SERVERS=local` and `TEST_SERVERS=container` exclude all other sources. */
export function readSources(name: string | undefined): readonly ServerSource[] {
  if (name === undefined || name === '') return ['environment', 'container', 'local'];
  if (name === 'local' || name === 'container') return [name];
  throw new Error(`TEST_SERVERS=${name} is neither local nor container`);
}

function printToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}
