import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface ServiceProcessOptions {
  readonly name: string;
  /** The service's main.ts. */
  readonly main: URL;
  readonly env: Readonly<Record<string, string>>;
}

/** A line that a service logged: JSON with `msg`, or, from a crash, any text as `msg`. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

const keptLines = 400;
const readyLimitMs = 60_000;
const endWithParent = new URL('./end-with-parent.ts', import.meta.url).href;

/** A service as a process of its own, as in production: environment in, JSON lines out, signals. */
export class ServiceProcess {
  readonly #options: ServiceProcessOptions;
  readonly #child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #ended: Promise<string>;
  #end: string | undefined;

  constructor(options: ServiceProcessOptions) {
    this.#options = options;
    this.#child = spawn(process.execPath, ['--import', endWithParent, fileURLToPath(options.main)], {
      // A process group of its own: a Ctrl-C is for the demo, which ends its services in order.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...options.env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#keep(line));
    }
    this.#ended = once(this.#child, 'close').then(([code, signal]: unknown[]) => {
      this.#end = typeof signal === 'string' ? signal : `exit code ${String(code)}`;
      return this.#end;
    });
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.name} could not be started`);
    return pid;
  }

  /** The last few hundred lines that it logged. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Resolves when it has ended, to `exit code 0`, `SIGKILL`, … */
  get ended(): Promise<string> {
    return this.#ended;
  }

  get isRunning(): boolean {
    return this.#end === undefined;
  }

  /** The number in a field of the first line that has it, waited for: a port that the service took. */
  async readNumber(field: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const value = this.#lines.find((line) => typeof line[field] === 'number')?.[field];
      if (typeof value === 'number') return value;
      await this.#pause(signal);
    }
  }

  /** Waits until /readyz on its ops port says yes. */
  async untilReady(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(readyLimitMs);
    const either = AbortSignal.any([signal, limit]);
    try {
      const port = await this.readNumber('metricsPort', either);
      while (!(await isReady(port, either))) await this.#pause(either);
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
      throw new Error(`${this.name} was not ready within ${readyLimitMs / 1000} s. ${this.lastSaid()}`, {
        cause: error,
      });
    }
  }

  /** Asks it to end, as an operator does, and waits for it. Returns how it ended. */
  async stop(): Promise<string> {
    if (this.isRunning) this.#child.kill('SIGTERM');
    return await this.#ended;
  }

  /** Waits for its end, as an error that says how it ended and what it last said. */
  async endedError(): Promise<Error> {
    return new Error(`${this.name} ended with ${await this.#ended}. ${this.lastSaid()}`);
  }

  /** Ends it at once, as a power cut does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** The end of its log, for a person. */
  lastSaid(): string {
    return ['The last it said:', ...this.#lines.slice(-15).map((line) => `  ${describeLine(line)}`)].join(
      '\n',
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #pause(signal: AbortSignal): Promise<void> {
    if (!this.isRunning) throw await this.endedError();
    await sleep(20, undefined, { signal });
  }

  #keep(text: string): void {
    this.#lines.push(readLine(text));
    if (this.#lines.length > keptLines) this.#lines.shift();
  }
}

async function isReady(port: number, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal });
    await response.body?.cancel();
    return response.ok;
  } catch (error) {
    if (signal.aborted) throw error;
    return false; // It has just ended: its end says more than a refused connection.
  }
}

function readLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'msg' in value && typeof value.msg === 'string') {
      return { ...value, msg: value.msg };
    }
  } catch {
    // Not from the log: a warning of Node's, or a stack of a crash.
  }
  return { msg: text };
}

function describeLine({ msg, ...fields }: LogLine): string {
  const rest = Object.entries(fields).filter(
    ([name]) => !['time', 'pid', 'hostname', 'service'].includes(name),
  );
  return rest.length === 0 ? msg : `${msg} ${JSON.stringify(Object.fromEntries(rest))}`;
}
