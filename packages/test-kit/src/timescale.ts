import { createDatabase } from './database.ts';
import { startDependent } from './dependent-process.ts';

export interface TestTimescale extends AsyncDisposable {
  readonly url: string;
  /** The WebAssembly build has one: with more, a client waits until the other has closed its own. */
  readonly maxConnections: number;
  /** `TIMESCALE_URL`, an image, or WebAssembly. */
  readonly from: string;
}

/**
 * A fresh and empty database of a server that has TimescaleDB, without the extension created: in the server that
 * `TIMESCALE_URL` names, else as WebAssembly (PostgreSQL 17, TimescaleDB 2.23), which takes two seconds and is what
 * a test asks for that plays with the build's one session.
 */
export async function startTimescale(
  options: { readonly from?: 'WebAssembly' } = {},
): Promise<TestTimescale> {
  if (options.from === 'WebAssembly') return await startWebAssembly();
  const serverUrl = process.env['TIMESCALE_URL'];
  if (serverUrl !== undefined && serverUrl !== '') {
    const database = await createDatabase(serverUrl, 'test', 'template0');
    return { ...database, maxConnections: 10, from: 'TIMESCALE_URL' };
  }
  return await startWebAssembly();
}

async function startWebAssembly(): Promise<TestTimescale> {
  const ready = Promise.withResolvers<number>();
  const child = startDependent({
    script: new URL('./timescale-process.ts', import.meta.url),
    hear: (line) => {
      const { port }: { port: number } = JSON.parse(line);
      ready.resolve(port);
    },
    ended: (how) => {
      ready.reject(new Error(`TimescaleDB as WebAssembly did not start: ${how}`));
    },
  });
  const release = child.hold();
  try {
    const port = await ready.promise;
    return {
      url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
      maxConnections: 1,
      from: 'WebAssembly',
      [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
    };
  } finally {
    release();
  }
}
