/**
 * Loaded into a processor under test (`--import`): simulates a driver that crashes on a certain row. The process is
 * killed when the string in `DIES_OF` is written to the database's port, as by an abort in native code.
 */
import { Socket } from 'node:net';

const deadly = process.env['DIES_OF'] ?? '';
const databasePort = Number(new URL(process.env['POSTGRES_URL'] ?? '').port);
const prototype = Socket.prototype;
const write: unknown = Reflect.get(prototype, 'write');

if (typeof write !== 'function') throw new TypeError('Socket has no write method');
Reflect.set(prototype, 'write', function dieOfRow(this: Socket, ...args: unknown[]): unknown {
  const [chunk] = args;
  if (this.remotePort === databasePort && Buffer.isBuffer(chunk) && chunk.includes(deadly)) {
    process.kill(process.pid, 'SIGKILL');
  }
  return Reflect.apply(write, this, args);
});
