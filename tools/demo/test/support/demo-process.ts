import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { descendantsOf } from '@app/test-kit/process-tree';
import { Program } from '@app/test-kit/program';

/** `./run demo` as a shell starts it, with a temporary folder of its own that is to be empty at its end. */
export class DemoProcess extends Program {
  readonly #temporaryFolder: string;

  private constructor(args: readonly string[], env: NodeJS.ProcessEnv, folder: string) {
    const main = new URL('../../src/main.ts', import.meta.url);
    super({ main, name: 'demo', args, env: { HOME: process.env['HOME'], TMPDIR: folder, ...env } });
    this.#temporaryFolder = folder;
  }

  static async start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<DemoProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'demo-test-'));
    await chmod(folder, 0o755); // Postgres runs as another user where this one is root.
    return new DemoProcess(args, env, folder);
  }

  /** Waits until fixes are stored. */
  async untilRacing(): Promise<void> {
    await this.logged(/stored [1-9]/u, { timeoutMs: 120_000 });
  }

  /** Ctrl-C in its terminal. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  leftInTemporaryFolder(): Promise<string[]> {
    return readdir(this.#temporaryFolder);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    // The supervisor of a killed demo is still removing its folder.
    await rm(this.#temporaryFolder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

export interface RunningProcess {
  readonly pid: number;
  readonly command: string;
}

/** All processes that a process has started, and their descendants. */
export function listDescendants(pid: number): readonly RunningProcess[] {
  return descendantsOf(pid).flatMap((descendant) => {
    const command = commandOf(descendant);
    return command === undefined ? [] : [{ pid: descendant, command }];
  });
}

/** Those that still run. */
export function stillRunning(processes: readonly RunningProcess[]): readonly RunningProcess[] {
  return processes.filter(({ pid, command }) => commandOf(pid) === command);
}

function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return undefined; // It has ended.
  }
}
