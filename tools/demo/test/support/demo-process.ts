import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@app/test-kit/eventually';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** `./run demo` as a shell starts it: a process group of its own, and a temporary folder that is to be empty at its end. */
export class DemoProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #temporaryFolder: string;
  readonly #exitCode: Promise<number | null>;
  #stdout = '';
  #stderr = '';

  private constructor(child: ChildProcess, temporaryFolder: string) {
    this.#child = child;
    this.#temporaryFolder = temporaryFolder;
    child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.#exitCode = new Promise((resolve) => child.once('close', resolve));
  }

  static async start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<DemoProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'demo-test-'));
    await chmod(folder, 0o755); // Postgres runs as another user where this one is root.
    const child = spawn(process.execPath, [main, ...args], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: folder, ...env },
    });
    return new DemoProcess(child, folder);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves when it has ended; null where a signal ended it. */
  get exitCode(): Promise<number | null> {
    return this.#exitCode;
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN;
  }

  /** Waits until the race is on its way. */
  async untilRacing(): Promise<void> {
    await eventually(
      () => {
        if (this.#child.exitCode !== null) throw new Error(`the demo has ended: ${this.#stderr}`);
        return /stored [1-9]/.test(this.#stdout);
      },
      { timeoutMs: 60_000 },
    );
  }

  /** What a Ctrl-C in its terminal does. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  leftInTemporaryFolder(): Promise<string[]> {
    return readdir(this.#temporaryFolder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    await this.#exitCode;
    // What a killed demo leaves to its guard is still being removed.
    await rm(this.#temporaryFolder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

export interface RunningProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly command: string;
}

/** All that a process has started, and what that has started, and so on. */
export function descendantsOf(pid: number): RunningProcess[] {
  const all = listProcesses();
  const found: RunningProcess[] = [];
  for (let parents = [pid]; parents.length > 0;) {
    const children = all.filter(({ parentPid }) => parents.includes(parentPid));
    found.push(...children);
    parents = children.map((child) => child.pid);
  }
  return found;
}

/** Those of them that still run. */
export function stillRunning(processes: readonly RunningProcess[]): RunningProcess[] {
  const now = new Map(listProcesses().map((process) => [process.pid, process.command]));
  return processes.filter(({ pid, command }) => now.get(pid) === command);
}

/** From /proc, as a slim image has no `ps`. */
function listProcesses(): RunningProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        // "pid (name) state ppid …", where the name may hold blanks and brackets.
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const parentPid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return [{ pid: Number(name), parentPid, command }];
      } catch {
        return []; // It ended while the list was read.
      }
    });
}
