import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { Socket } from 'node:net';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ProgramOptions {
  /** A TypeScript or JavaScript module. */
  readonly main: URL;
  /** For error messages; the file name of `main` without it. */
  readonly name?: string;
  readonly args?: readonly string[];
  /** The whole environment, except for `PATH` and Node's cache of compiled modules. */
  readonly env?: NodeJS.ProcessEnv;
  /** Options of Node itself. */
  readonly nodeOptions?: readonly string[];
  /** How many lines of output are kept. Default: all. */
  readonly keptLines?: number;
  /**
   * Does not keep this process alive, ends by itself when its stdin does (see `parent-pipe.ts`) so that it can clean up
   * first, and writes its stderr to this process's.
   */
  readonly isBackground?: boolean;
}

/** One line of output: the fields of a JSON object, or any other text as `msg`. */
export type OutputLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** How a process ended: one of the two is not null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LineOptions {
  /** How many lines to pass over. */
  readonly skip?: number;
  readonly signal?: AbortSignal;
  /** False lets this process end meanwhile, for a background program. */
  readonly keepsAlive?: boolean;
}

export const cleanExit: Exit = { code: 0, signal: null };

const endWithParent = new URL('end-with-parent.ts', import.meta.url).href;

/** A Node process that ends with this one, however this one ends. */
export class Program implements AsyncDisposable {
  readonly name: string;
  /** Resolves when it has ended and all its output is read. */
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #isBackground: boolean;
  readonly #lines: OutputLine[] = [];
  readonly #stdout: string[] = [];
  readonly #stderr: string[] = [];
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #droppedLines = 0;
  #waiting = 0;
  #hasExited = false;

  constructor(options: ProgramOptions) {
    const {
      main,
      args = [],
      env = {},
      nodeOptions = [],
      keptLines = Infinity,
      isBackground = false,
    } = options;
    this.name = options.name ?? basename(main.pathname);
    this.#isBackground = isBackground;
    const flags = [...(isBackground ? [] : ['--import', endWithParent]), ...nodeOptions];
    this.#child = spawn(process.execPath, [...flags, fileURLToPath(main), ...args], {
      // A process group of its own: a Ctrl-C in the terminal reaches this process, which ends its children in order.
      detached: true,
      stdio: isBackground ? ['pipe', 'pipe', 'inherit'] : ['pipe', 'pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    });
    const { stdin, stdout, stderr } = this.#child;
    // Writing to a child that has just ended fails; `exited` reports the end.
    stdin?.on('error', () => undefined);
    const collect = (text: string, texts: string[]): void => {
      texts.push(text);
      this.#lines.push(readLine(text));
      if (texts.length > keptLines) texts.shift();
      if (this.#lines.length > keptLines) {
        this.#lines.shift();
        this.#droppedLines += 1;
      }
      this.#changes.emit('change');
    };
    if (stdout !== null) createInterface(stdout).on('line', (text) => collect(text, this.#stdout));
    if (stderr !== null) createInterface(stderr).on('line', (text) => collect(text, this.#stderr));
    this.exited = once(this.#child, 'close').then((): Exit => {
      this.#hasExited = true;
      this.#changes.emit('change');
      return { code: this.#child.exitCode, signal: this.#child.signalCode };
    });
    this.#refHandles();
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.name} could not be started`);
    return pid;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The lines kept of stdout and stderr, in order of arrival. */
  get lines(): readonly OutputLine[] {
    return this.#lines;
  }

  get stdout(): string {
    return joinLines(this.#stdout);
  }

  get stderr(): string {
    return joinLines(this.#stderr);
  }

  /** The first line for which `pick` returns a value, waited for; rejects if the program ends without it. */
  async line<T>(pick: (line: OutputLine) => T | undefined, options: LineOptions = {}): Promise<T> {
    const { skip = 0, signal, keepsAlive = true } = options;
    using _alive = keepsAlive ? this.#keepAlive() : undefined;
    for (let next = skip; ;) {
      next = Math.max(next, this.#droppedLines);
      for (; next < this.#droppedLines + this.#lines.length; next += 1) {
        const line = this.#lines[next - this.#droppedLines];
        const picked = line === undefined ? undefined : pick(line);
        if (picked !== undefined) return picked;
      }
      if (this.#hasExited) throw await this.exitError();
      await once(this.#changes, 'change', signal === undefined ? {} : { signal });
    }
  }

  /** The first line whose message matches, waited for; rejects with the last lines when it does not come. */
  async logged(
    message: RegExp,
    { skip = 0, timeoutMs = 60_000 }: { readonly skip?: number; readonly timeoutMs?: number } = {},
  ): Promise<OutputLine> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      return await this.line((line) => (message.test(line.msg) ? line : undefined), { skip, signal });
    } catch (error) {
      if (this.#hasExited) throw error;
      throw new Error(`${this.name} logged no line ${String(message)}. ${this.lastLines()}`, {
        cause: error,
      });
    }
  }

  /** Writes a line of JSON to its stdin. */
  send(message: object): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM; resolves when it has ended. */
  async stop(): Promise<Exit> {
    using _alive = this.#keepAlive();
    this.kill('SIGTERM');
    return await this.exited;
  }

  /** SIGKILL; resolves when it has ended. */
  async crash(): Promise<void> {
    this.kill('SIGKILL');
    await this.exited;
  }

  /** Waits for its end, as an error with the last lines of its output. */
  async exitError(): Promise<Error> {
    return new Error(`${this.name} ended with ${describeExit(await this.exited)}. ${this.lastLines()}`);
  }

  lastLines(): string {
    return ['Its last lines:', ...this.#lines.slice(-15).map((line) => `  ${describeLine(line)}`)].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isBackground) return await this.crash();
    using _alive = this.#keepAlive();
    this.#child.stdin?.end();
    await this.exited;
  }

  #keepAlive(): Disposable {
    this.#waiting += 1;
    this.#refHandles();
    return {
      [Symbol.dispose]: () => {
        this.#waiting -= 1;
        this.#refHandles();
      },
    };
  }

  #refHandles(): void {
    if (!this.#isBackground) return;
    for (const handle of [this.#child, this.#child.stdin, this.#child.stdout]) {
      if (handle !== this.#child && !(handle instanceof Socket)) continue;
      if (this.#waiting > 0) handle.ref();
      else handle.unref();
    }
  }
}

/** Runs a program to its end; kills it after a minute. */
export async function runProgram(
  options: ProgramOptions,
): Promise<{ readonly stdout: string; readonly stderr: string; readonly code: number | null }> {
  await using program = new Program(options);
  const timer = setTimeout(() => program.kill('SIGKILL'), 60_000);
  const { code } = await program.exited;
  clearTimeout(timer);
  return { stdout: program.stdout, stderr: program.stderr, code };
}

/** `exit code 1` or the name of the signal. */
export function describeExit({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`;
}

function readLine(text: string): OutputLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) {
      return 'msg' in value && typeof value.msg === 'string'
        ? { ...value, msg: value.msg }
        : { ...value, msg: text };
    }
  } catch {
    // A warning of Node's, or the stack of a crash.
  }
  return { msg: text };
}

function describeLine({ msg, ...fields }: OutputLine): string {
  const rest = Object.entries(fields).filter(
    ([name]) => !['time', 'pid', 'hostname', 'service'].includes(name),
  );
  return rest.length === 0 ? msg : `${msg} ${JSON.stringify(Object.fromEntries(rest))}`;
}

function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
