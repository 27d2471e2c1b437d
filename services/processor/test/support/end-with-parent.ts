/**
 * Loaded into a processor under test before its own code (`--import`): it is killed when its stdin ends. The
 * kernel closes that pipe however the test ended, so no processor outlives its test.
 */
import { Socket } from 'node:net';

process.stdin.once('end', () => process.kill(process.pid, 'SIGKILL'));
process.stdin.resume();
// Alone it is no reason to stay alive.
if (process.stdin instanceof Socket) process.stdin.unref();
