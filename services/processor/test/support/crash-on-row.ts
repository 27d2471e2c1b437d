/**
 * Loaded into a processor under test (`--import`): simulates a driver that crashes on a certain row. The process is
 * killed when the string in `CRASH_ON` is written to the database's port, as by an abort in native code.
 */
import { Socket } from 'node:net';

const crashOn = process.env['CRASH_ON'] ?? '';
const databasePort = Number(new URL(process.env['POSTGRES_URL'] ?? '').port);
const prototype = Socket.prototype;
const write: unknown = Reflect.get(prototype, 'write');

if (typeof write !== 'function') throw new TypeError('Socket has no write method');
Reflect.set(prototype, 'write', function crashOnRow(this: Socket, ...args: unknown[]): unknown {
  const [chunk] = args;
  if (this.remotePort === databasePort && Buffer.isBuffer(chunk) && chunk.includes(crashOn)) {
    process.kill(process.pid, 'SIGKILL');
  }
  return Reflect.apply(write, this, args);
});
