/**
 * Loaded into a service before its own code (`--import`): the service is asked to
 * stop when its stdin ends. The kernel closes that pipe however the parent ended,
 * by SIGKILL too, so no service of a demo or a test outlives it.
 */
import { Socket } from 'node:net';

process.stdin.once('end', () => process.kill(process.pid, 'SIGTERM'));
process.stdin.resume();
// Alone it is no reason to stay alive.
if (process.stdin instanceof Socket) process.stdin.unref();
