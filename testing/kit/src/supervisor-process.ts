/** Runs the servers of one parent in one temporary folder and ends both with it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleanUpWithParent, sendToParent } from './parent-pipe.ts';
import { describeExit } from './program.ts';
import type { SupervisorReply, SupervisorRequest } from './supervisor.ts';
import { signalTree } from './process-tree.ts';

// The end of a server's output says why it could not start.
const keptOutputChars = 4000;

const folder = await mkdtemp(join(tmpdir(), 'live-tracking-servers-'));
// A server of another user needs to enter its own folder in here, and need not list this one.
await chmod(folder, 0o711);

const running = new Map<ChildProcess, SupervisorRequest>();

function reply(message: SupervisorReply): void {
  sendToParent(message);
}

function run(request: SupervisorRequest): void {
  const { id, file, args, user } = request;
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-keptOutputChars);
    });
  }
  child.once('error', (error) => reply({ id, failed: error.message }));
  child.once('spawn', () => {
    running.set(child, request);
    reply({ id, pid: child.pid ?? 0 });
  });
  child.once('exit', (code, signal) => {
    running.delete(child);
    // The last output is there at 'close', which the backends of a killed Postgres delay: they hold its output open.
    const replyOnce = (): void => {
      clearTimeout(timer);
      child.removeListener('close', replyOnce);
      reply({ id, exit: describeExit({ code, signal }), output });
    };
    const timer = setTimeout(replyOnce, 200);
    child.once('close', replyOnce);
  });
}

async function cleanUp(): Promise<void> {
  for (const [child, { endSignal }] of running) {
    // A server paused by a test would take no other signal.
    signalTree(child.pid ?? 0, 'SIGCONT');
    child.kill(endSignal);
  }
  const deadlineMs = performance.now() + 3000;
  while (running.size > 0 && performance.now() < deadlineMs) await sleep(10);
  for (const child of running.keys()) signalTree(child.pid ?? 0, 'SIGKILL');
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

cleanUpWithParent({ onLine: (line) => run(JSON.parse(line)), cleanUp, timeoutMs: 10_000 });
reply({ folder });
