import { setTimeout as sleep } from 'node:timers/promises';
import { signalProcess, signalTree } from './process-tree.ts';
import type { SupervisedProcess } from './supervisor.ts';

export interface OwnServerOptions {
  readonly url: string;
  readonly process: SupervisedProcess;
  /** Starts it again on the same port and data. */
  readonly relaunch: () => Promise<SupervisedProcess>;
  readonly stopSignal: NodeJS.Signals;
  /** What is disposed with it. */
  readonly resources: AsyncDisposableStack;
}

// Postgres with open connections takes a moment for its shutdown checkpoint.
const stopTimeoutMs = 20_000;

/** A server of one test's own that can be stopped, killed, paused and started again. */
export class OwnServer implements AsyncDisposable {
  readonly #options: OwnServerOptions;
  #process: SupervisedProcess;

  constructor(options: OwnServerOptions) {
    this.#options = options;
    this.#process = options.process;
  }

  get url(): string {
    return this.#options.url;
  }

  /** Starts it again after `stop` or `kill`: same port, same data. */
  async start(): Promise<void> {
    if (this.#isRunning) throw new Error('the server is running: stop or kill it first');
    this.#process = await this.#options.relaunch();
  }

  /** Asks it to end, as an operator would, and waits for that. */
  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.resume();
    signalProcess(this.#process.pid, this.#options.stopSignal);
    await this.#untilEnded();
  }

  /** Ends it and its children at once with SIGKILL, as a power cut would, and waits until they are gone. */
  async kill(): Promise<void> {
    if (!this.#isRunning) return;
    signalTree(this.#process.pid, 'SIGKILL');
    await this.#untilEnded();
  }

  /** SIGSTOP: connections stay open, the kernel accepts new ones, nothing answers. */
  pause(): void {
    if (this.#isRunning) signalTree(this.#process.pid, 'SIGSTOP');
  }

  resume(): void {
    if (this.#isRunning) signalTree(this.#process.pid, 'SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.resources.disposeAsync();
  }

  get #isRunning(): boolean {
    return this.#process.ended() === undefined;
  }

  async #untilEnded(): Promise<void> {
    const timeout = sleep(stopTimeoutMs, undefined, { ref: false });
    if ((await Promise.race([this.#process.whenEnded, timeout])) !== undefined) return;
    throw new Error(`the server did not end within ${stopTimeoutMs} ms`);
  }
}
