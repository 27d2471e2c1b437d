import { setImmediate as letOthersRun } from 'node:timers/promises';
import { closeCode } from '@app/shared/protocol';
import type { Connection } from './connection.ts';

const slice = 200;

/** Sends everyone away who is there, with the code that says "come back". Whoever comes meanwhile is not its business. */
export async function closeAll(connections: Iterable<Connection>): Promise<void> {
  // A copy: `end` calls the close handler synchronously, which takes the connection out of the set.
  const all = Array.from(connections);
  for (const [at, connection] of all.entries()) {
    connection.end(closeCode.restart, 'the server restarts');
    if (at % slice === slice - 1) await letOthersRun();
  }
}
