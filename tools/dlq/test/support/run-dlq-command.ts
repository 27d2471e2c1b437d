import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface Ending {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

/** `./run dlq` with these words and nothing else in its environment. */
export function startDlq(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): { readonly child: ChildProcess; readonly ended: Promise<Ending> } {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]).then(
    ([stdout, stderr]): Ending => ({ stdout, stderr, code: child.exitCode }),
  );
  return { child, ended };
}

export async function dlq(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ending> {
  return await startDlq(args, env).ended;
}
