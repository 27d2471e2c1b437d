/**
 * Loaded into each program under measurement before its own code (`--import`): it is asked to stop when the pipe at
 * descriptor 3 ends, which the kernel sees to however the benchmark ended. Its stdin is the program's own.
 */
import { Socket } from 'node:net';

const lifeline = new Socket({ fd: 3 });
lifeline.once('close', () => process.kill(process.pid, 'SIGTERM'));
// Alone it is no reason to stay alive.
lifeline.resume().unref();
