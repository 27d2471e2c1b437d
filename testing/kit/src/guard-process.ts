/**
 * Runs the servers of one parent, in one temporary folder, and ends both with it. Knows nothing
 * of what it runs: `redis-server.ts` and `postgres-server.ts` say the command lines.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuardAnswer, GuardRequest } from './guard.ts';
import { holdLifeline, tellParent } from './lifeline.ts';
import { signalTree } from './process-tree.ts';

// Of a server's output only the end is kept: it says why the server could not start.
const outputTailChars = 4000;

const folder = await mkdtemp(join(tmpdir(), 'live-tracking-servers-'));
// Another user's server has to get through to its own folder in here, and need not list this one.
await chmod(folder, 0o711);

const running = new Map<ChildProcess, GuardRequest>();

const answer = (message: GuardAnswer): void => {
  tellParent(message);
};

function run(request: GuardRequest): void {
  const child = spawn(request.file, request.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    ...(request.user === undefined ? {} : { uid: request.user.uid, gid: request.user.gid }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputTailChars);
    });
  }
  child.once('error', (error) => {
    answer({ id: request.id, failed: error.message });
  });
  child.once('spawn', () => {
    running.set(child, request);
    answer({ id: request.id, pid: child.pid ?? 0 });
  });
  child.once('exit', (code, signal) => {
    running.delete(child);
    // Its last words come with 'close'; a killed Postgres leaves its output open in the hands of backends.
    const tell = (): void => {
      clearTimeout(timer);
      child.removeListener('close', tell);
      answer({ id: request.id, exit: signal ?? `exit code ${String(code)}`, output });
    };
    const timer = setTimeout(tell, 200);
    child.once('close', tell);
  });
}

async function end(): Promise<void> {
  for (const [child, request] of running) {
    // A server paused by a test would take no other signal.
    signalTree(child.pid ?? 0, 'SIGCONT');
    child.kill(request.endSignal);
  }
  const deadlineMs = performance.now() + 3000;
  while (running.size > 0 && performance.now() < deadlineMs) await sleep(10);
  for (const child of running.keys()) signalTree(child.pid ?? 0, 'SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

holdLifeline({
  hear: (line) => {
    run(JSON.parse(line));
  },
  end,
  limitMs: 10_000,
});
answer({ folder });
