import { setTimeout as sleep } from 'node:timers/promises';
import type { SupervisedProcess } from './supervisor.ts';
import { signalProcess, signalTree } from './process-tree.ts';

/** A server of one test's own, to be stopped, killed, paused and started again under the code that uses it. */
export interface OwnServer {
  readonly url: string;
  readonly port: number;
  /** Asks it to end, as an operator would, and waits for that. */
  stop(): Promise<void>;
  /** Ends it and its children at once with SIGKILL, as a power cut would, and waits until they are gone. */
  kill(): Promise<void>;
  /** Starts it again after `stop` or `kill`: same port, same data. */
  start(): Promise<void>;
  /** Freezes it (SIGSTOP): connections stay open, the kernel goes on accepting new ones, nothing answers. */
  pause(): void;
  resume(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

// Postgres with connections open takes a moment for its shutdown checkpoint.
const stopLimitMs = 20_000;

/** The life of one server program, started by `launch` each time on the same port and data. */
export class Lifecycle {
  readonly #launch: () => Promise<SupervisedProcess>;
  readonly #stopSignal: NodeJS.Signals;
  #process: SupervisedProcess;

  constructor(options: {
    readonly launch: () => Promise<SupervisedProcess>;
    readonly first: SupervisedProcess;
    readonly stopSignal: NodeJS.Signals;
  }) {
    this.#launch = options.launch;
    this.#process = options.first;
    this.#stopSignal = options.stopSignal;
  }

  async start(): Promise<void> {
    if (this.#process.ended() === undefined) throw new Error('The server is running: stop or kill it first');
    this.#process = await this.#launch();
  }

  async stop(): Promise<void> {
    if (this.#process.ended() !== undefined) return;
    this.resume();
    signalProcess(this.#process.pid, this.#stopSignal);
    await this.#gone('stop');
  }

  async kill(): Promise<void> {
    if (this.#process.ended() !== undefined) return;
    signalTree(this.#process.pid, 'SIGKILL');
    await this.#gone('be killed');
  }

  pause(): void {
    if (this.#process.ended() === undefined) signalTree(this.#process.pid, 'SIGSTOP');
  }

  resume(): void {
    if (this.#process.ended() === undefined) signalTree(this.#process.pid, 'SIGCONT');
  }

  async #gone(what: string): Promise<void> {
    const end = await Promise.race([this.#process.whenEnded, sleep(stopLimitMs, undefined, { ref: false })]);
    if (end === undefined) throw new Error(`The server did not ${what} within ${stopLimitMs} ms`);
  }
}
