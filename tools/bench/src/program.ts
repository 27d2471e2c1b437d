import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A program under measurement, in a process of its own, that says how it goes in JSON lines. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  hasEnded(): boolean;
  /** The first line for which `pick` has an answer; rejects if the program ends before. */
  line<T>(pick: (line: Readonly<Record<string, unknown>>) => T | undefined): Promise<T>;
  /** Writes a line of JSON to its stdin. */
  tell(command: object): void;
  /** Asks it to end; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** Raises its limit of open files to this, as far as it may, and becomes the program. */
const withOpenFiles = 'ulimit -n "$1" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; shift; exec "$@"';

/** Node's options for a program that is to end with this process: whatever that dies of, its pipe is closed then. */
export const endWithParent: readonly string[] = [
  '--import',
  new URL('./end-with-parent.ts', import.meta.url).href,
];

/** Starts a TypeScript program with this environment beside PATH; its stderr is passed on. It ends with this process. */
export function startProgram(
  main: URL,
  env: Readonly<Record<string, string>>,
  nodeOptions: readonly string[] = [],
  openFiles = 65_536,
): Program {
  const child = spawn(
    '/bin/sh',
    [
      '-c',
      withOpenFiles,
      'sh',
      String(openFiles),
      process.execPath,
      ...endWithParent,
      ...nodeOptions,
      fileURLToPath(main),
    ],
    {
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    },
  );
  const { pid, stdin, stdout } = child;
  if (pid === undefined || stdin === null || stdout === null) {
    throw new Error(`${main.pathname} could not be started`);
  }
  // It may end before it has read what it was told; how it ended is said elsewhere.
  stdin.on('error', () => undefined);
  const seen: Readonly<Record<string, unknown>>[] = [];
  const arrivals = new EventTarget();
  createInterface({ input: stdout }).on('line', (text) => {
    seen.push(readLine(text));
    arrivals.dispatchEvent(new Event('line'));
  });
  const ended = once(child, 'close').then(([code]: unknown[]) => (typeof code === 'number' ? code : null));

  async function stop(): Promise<number | null> {
    child.kill('SIGTERM');
    return await ended;
  }

  return {
    pid,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async line(pick) {
      for (;;) {
        for (const line of seen) {
          const picked = pick(line);
          if (picked !== undefined) return picked;
        }
        const arrival = once(arrivals, 'line').then(() => 'line' as const);
        if ((await Promise.race([arrival, ended])) !== 'line') {
          throw new Error(`${main.pathname} ended early; the last it said: ${JSON.stringify(seen.at(-1))}`);
        }
      }
    },
    tell: (command) => void stdin.write(`${JSON.stringify(command)}\n`),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

function readLine(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : { msg: text };
  } catch {
    return { msg: text };
  }
}

/** Runs a program that answers in one line, and takes what `pick` finds in it. */
export async function runToLine<T>(
  main: URL,
  env: Readonly<Record<string, string>>,
  pick: (line: Readonly<Record<string, unknown>>) => T | undefined,
  nodeOptions: readonly string[] = [],
): Promise<T> {
  await using program = startProgram(main, env, nodeOptions);
  return await program.line(pick);
}
