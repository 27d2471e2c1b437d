/**
 * Loaded into a `Program` before its own code (`--import`): it is killed when the pipe at descriptor 3 ends. The kernel
 * closes that pipe however the parent ended, SIGKILL included, so no program outlives its parent. Stdin stays the
 * program's own.
 */
import { Socket } from 'node:net';

const parent = new Socket({ fd: 3 });
parent.once('close', () => process.kill(process.pid, 'SIGKILL'));
parent.resume().unref();
