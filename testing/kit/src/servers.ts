import { findContainerEngine, type ContainerEngine } from './container-engine.ts';
import { startSupervisor, type Supervisor } from './supervisor.ts';
import { createPostgresCluster, startPostgresServer, type PostgresSettings } from './postgres-server.ts';
import { findRedisServer, howToGetRedis, startRedisServer } from './redis-server.ts';
import { startPostgresContainer, startRedisContainer, type ServerContainer } from './server-containers.ts';

/** Where a server can come from: a URL in the environment, a container, a program on this machine. */
export type ServerSource = 'environment' | 'container' | 'local';

export interface ServersOptions {
  /** Which to try, in this order. Default: what `TEST_SERVERS` says, else all. */
  readonly sources?: readonly ServerSource[];
  /** For a Postgres started here; without them it is durable. A test wants `fastSettings`, a benchmark does not. */
  readonly postgresSettings?: PostgresSettings;
  /** Hears in one line each where the servers come from. Default: stderr. */
  readonly print?: (line: string) => void;
}

export interface Servers {
  readonly redisUrl: string;
  /** As a role that may create databases. */
  readonly postgresUrl: string;
  /** `REDIS_URL`, `container redis:8-trixie` or the path of a server. */
  readonly redisFrom: string;
  readonly postgresFrom: string;
  /** Ends what was started here, and nothing that was given. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface FoundServer {
  readonly url: string;
  readonly from: string;
}

type Ways = Readonly<Record<ServerSource, () => Promise<FoundServer | undefined>>>;

/**
 * A Redis and a Postgres, each from the first that is there: the URL in the environment (`REDIS_URL`,
 * `POSTGRES_URL`), a container where an engine answers within a second, a server on this machine.
 *
 * What is started listens on 127.0.0.1 only, keeps its data in a temporary folder and ends with
 * this process, however that ends.
 */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  const sources = options.sources ?? sourcesOf(process.env['TEST_SERVERS']);
  const print = options.print ?? printToStderr;
  await using started = new AsyncDisposableStack();

  let supervisor: Promise<Supervisor> | undefined;
  const supervisorOnce = async (): Promise<Supervisor> => {
    supervisor ??= startSupervisor().then((fresh) => started.use(fresh));
    return await supervisor;
  };
  const fromContainer = async (
    what: string,
    start: (engine: ContainerEngine) => Promise<ServerContainer | { readonly missing: string }>,
  ): Promise<FoundServer | undefined> => {
    const engine = await findContainerEngine();
    if (engine === undefined) return undefined;
    const container = await start(engine);
    if ('missing' in container) {
      print(`${what}: no container (${container.missing})`);
      return undefined;
    }
    return started.use(container);
  };
  const redisWays: Ways = {
    environment: () => fromEnvironment('REDIS_URL'),
    container: () => fromContainer('redis', startRedisContainer),
    local: async () => {
      const file = await findRedisServer();
      if (file === undefined) return undefined;
      const { port } = await startRedisServer(await supervisorOnce(), { file });
      return { url: `redis://127.0.0.1:${port}`, from: file };
    },
  };
  const postgresWays: Ways = {
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

  // Both to their end before an error is passed on, so that what the other one started is disposed too.
  const [redis, postgres] = await Promise.allSettled([
    firstThatIsThere(sources, redisWays, `No Redis: ${howToGetRedis}`),
    firstThatIsThere(sources, postgresWays, 'No Postgres: set POSTGRES_URL'),
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

async function firstThatIsThere(
  sources: readonly ServerSource[],
  ways: Ways,
  otherwise: string,
): Promise<FoundServer> {
  for (const source of sources) {
    const found = await ways[source]();
    if (found !== undefined) return found;
  }
  throw new Error(otherwise);
}

async function fromEnvironment(name: string): Promise<FoundServer | undefined> {
  const url = process.env[name];
  return url === undefined || url === '' ? undefined : { url, from: name };
}

/** `TEST_SERVERS=local` and `TEST_SERVERS=container` leave out all else, a URL in the environment too. */
export function sourcesOf(forced: string | undefined): readonly ServerSource[] {
  if (forced === undefined || forced === '') return ['environment', 'container', 'local'];
  if (forced === 'local' || forced === 'container') return [forced];
  throw new Error(`TEST_SERVERS=${forced} is neither local nor container`);
}

function printToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}
