import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const run = fileURLToPath(new URL('../../../../../run', import.meta.url));

interface RunResult {
  readonly code: number | null;
  /** Process id of the shell. */
  readonly pid: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A minimal checkout with the real `./run`, and a PATH on which a test can replace programs. */
export class BareMachine {
  readonly root = mkdtempSync(join(tmpdir(), 'bare-machine-'));
  readonly #programs = join(this.root, 'programs');

  constructor() {
    mkdirSync(this.#programs);
    copyFileSync(run, this.path('run'));
    this.write('pnpm-workspace.yaml', '');
    this.write('pnpm-lock.yaml', '');
    for (const folder of [
      '',
      'packages/p/',
      'services/migrate/',
      'services/a/',
      'testing/b/',
      'tools/demo/',
    ]) {
      this.write(`${folder}package.json`, '{ "type": "module" }');
    }
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, content: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true });
  }

  has(name: string): boolean {
    return existsSync(this.path(name));
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Adds a shell script that takes precedence over the program of that name. */
  program(name: string, script: string): void {
    writeFileSync(join(this.#programs, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(this.#programs, name), 0o755);
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunResult> {
    const folders = [this.#programs, dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'];
    const shell = spawn(this.path('run'), args, {
      cwd: tmpdir(), // works from any folder
      env: { PATH: folders.join(delimiter), HOME: this.root, ROOT: this.root, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(shell, 'close');
    const [stdout, stderr] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
    await ended;
    return { code: shell.exitCode, pid: shell.pid, stdout, stderr };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}
