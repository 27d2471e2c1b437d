import { findContainerEngine } from './container-engine.ts';
import { createDatabase } from './database.ts';
import { fastSettings, type PostgresSettings } from './postgres-server.ts';
import { Program } from './program.ts';
import { startTimescaleContainer } from './server-containers.ts';
import { sourcesOf, type ServerSource } from './servers.ts';

export interface TestTimescale extends AsyncDisposable {
  readonly url: string;
  /** The WebAssembly build has one: with more, a client waits until the other has closed its own. */
  readonly maxConnections: number;
  /** `TIMESCALE_URL`, `container …` or `WebAssembly`. */
  readonly from: string;
}

/**
 * A fresh and empty database of a server that has TimescaleDB, the first of: the server that `TIMESCALE_URL` names,
 * a container, WebAssembly (PostgreSQL 17, TimescaleDB 2.23). The last takes two seconds, and is what a test asks for
 * that plays with the build's one session. Which it was is printed.
 */
export async function startTimescale(
  options: { readonly from?: 'WebAssembly' } = {},
): Promise<TestTimescale> {
  const sources =
    options.from === 'WebAssembly' ? ['local' as const] : sourcesOf(process.env['TEST_SERVERS']);
  for (const source of sources) {
    const timescale = await ways[source]();
    if (timescale === undefined) continue;
    printOnce(`timescale: ${timescale.from}`);
    return timescale;
  }
  throw new Error('No TimescaleDB: set TIMESCALE_URL, or leave TEST_SERVERS unset');
}

/**
 * The same, and none where only the WebAssembly build is to be had: what is measured there says nothing about a server.
 * One in a container is durable unless `settings` say otherwise.
 */
export async function startNativeTimescale(settings: PostgresSettings): Promise<TestTimescale | undefined> {
  for (const source of sourcesOf(process.env['TEST_SERVERS'])) {
    if (source === 'local') continue;
    const timescale = await (source === 'environment' ? findInEnvironment() : startInContainer(settings));
    if (timescale !== undefined) return timescale;
  }
  return undefined;
}

const ways: Readonly<Record<ServerSource, () => Promise<TestTimescale | undefined>>> = {
  environment: findInEnvironment,
  container: () => startInContainer(fastSettings),
  local: startWebAssembly,
};

async function findInEnvironment(): Promise<TestTimescale | undefined> {
  const serverUrl = process.env['TIMESCALE_URL'];
  if (serverUrl === undefined || serverUrl === '') return undefined;
  // Not template1: there the image of TimescaleDB has the extension already.
  const database = await createDatabase(serverUrl, 'test', 'template0');
  return { ...database, maxConnections: 10, from: 'TIMESCALE_URL' };
}

// An image that could not be had for one test cannot be had for the next, and asking takes seconds.
let noContainer: string | undefined;

async function startInContainer(settings: PostgresSettings): Promise<TestTimescale | undefined> {
  const engine = noContainer === undefined ? await findContainerEngine() : undefined;
  if (engine === undefined) return undefined;
  await using stack = new AsyncDisposableStack();
  const container = await startTimescaleContainer(engine, settings);
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
    maxConnections: 10,
    from: container.from,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startWebAssembly(): Promise<TestTimescale> {
  await using stack = new AsyncDisposableStack();
  const main = new URL('timescale-process.ts', import.meta.url);
  const program = stack.use(new Program({ main, env: process.env, isBackground: true }));
  const port = await program.line(({ port: number }) => number);
  const owned = stack.move();
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${String(port)}/postgres`,
    maxConnections: 1,
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
