import { findContainerEngine } from './container-engine.ts';
import { createDatabase } from './database.ts';
import { fastSettings, type PostgresSettings } from './postgres-server.ts';
import { Program } from './program.ts';
import { startPostgresContainer, timescaleImage } from './server-containers.ts';
import { readSources, type ServerSource } from './servers.ts';

export interface TestTimescale extends AsyncDisposable {
  readonly url: string;
  /** `TIMESCALE_URL`, `container …` or `WebAssembly`. */
  readonly from: string;
}

/**
 * A new empty database of a server with TimescaleDB: the server at `TIMESCALE_URL`, else a container, else WebAssembly
 * (PostgreSQL 17, TimescaleDB 2.23), which takes two seconds and has one session: a second client waits until the first
 * has closed its own. Prints the source.
 */
export async function startTimescale(
  options: { readonly from?: 'WebAssembly' } = {},
): Promise<TestTimescale> {
  const sources =
    options.from === 'WebAssembly' ? ['local' as const] : readSources(process.env['TEST_SERVERS']);
  for (const source of sources) {
    const timescale = await open[source]();
    if (timescale === undefined) continue;
    printOnce(`timescale: ${timescale.from}`);
    return timescale;
  }
  throw new Error('No TimescaleDB: set TIMESCALE_URL, or leave TEST_SERVERS unset');
}

/**
 * The same without the WebAssembly build, which tells nothing about the speed of a server; undefined if there is no
 * other. A container is durable unless `settings` say otherwise.
 */
export async function startNativeTimescale(settings: PostgresSettings): Promise<TestTimescale | undefined> {
  for (const source of readSources(process.env['TEST_SERVERS'])) {
    if (source === 'local') continue;
    const timescale = await (source === 'environment' ? findInEnvironment() : startInContainer(settings));
    if (timescale !== undefined) return timescale;
  }
  return undefined;
}

const open: Readonly<Record<ServerSource, () => Promise<TestTimescale | undefined>>> = {
  environment: findInEnvironment,
  container: () => startInContainer(fastSettings),
  local: startWebAssembly,
};

async function findInEnvironment(): Promise<TestTimescale | undefined> {
  const serverUrl = process.env['TIMESCALE_URL'];
  if (serverUrl === undefined || serverUrl === '') return undefined;
  // In template1 TimescaleDB's image already has the extension.
  const database = await createDatabase(serverUrl, 'test', 'template0');
  return { ...database, from: 'TIMESCALE_URL' };
}

// Asking again for a missing image takes seconds.
let noContainer: string | undefined;

async function startInContainer(settings: PostgresSettings): Promise<TestTimescale | undefined> {
  const engine = noContainer === undefined ? await findContainerEngine() : undefined;
  if (engine === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const container = await startPostgresContainer(engine, settings, timescaleImage);
  if ('missing' in container) {
    noContainer = container.missing;
    printOnce(`timescale: no container (${noContainer})`);
    return undefined;
  }
  stack.use(container);
  const database = stack.use(await createDatabase(container.url, 'test', 'template0'));
  const owned = stack.move();
  return {
    url: database.url,
    from: container.from,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startWebAssembly(): Promise<TestTimescale> {
  await using stack = new AsyncDisposableStack();
  const main = new URL('timescale-process.ts', import.meta.url);
  // To optimise the code takes longer than a test runs it.
  const nodeOptions = ['--liftoff-only'];
  const program = stack.use(new Program({ main, env: process.env, nodeOptions, isBackground: true }));
  const port = await program.line(({ port: number }) => number);
  const owned = stack.move();
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${String(port)}/postgres`,
    from: 'WebAssembly',
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const printed = new Set<string>();

function printOnce(line: string): void {
  if (printed.has(line)) return;
  printed.add(line);
  process.stderr.write(`${line}\n`);
}
