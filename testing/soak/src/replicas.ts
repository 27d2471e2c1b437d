import {
  type ProcessorOptions,
  type RunningProcessor,
  startProcessor,
} from '@app/processor/testing/start-processor';

/** What a processor logs about lost entries. Only acknowledged entries are trimmed here, so it must not. */
const falseAlarm = /entries lost before delivery|entries were deleted from the stream/u;

/** The processors of one consumer group, by name. */
export class Replicas implements AsyncDisposable {
  readonly #options: ProcessorOptions;
  readonly #running = new Map<string, RunningProcessor>();
  readonly #problems: string[] = [];
  readonly #failed = new AbortController();

  constructor(options: ProcessorOptions) {
    this.#options = options;
  }

  get names(): readonly string[] {
    return [...this.#running.keys()];
  }

  /** Aborts when one of them ends by itself. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Processes that ended by themselves, and false alarms in logs. */
  problems(): readonly string[] {
    return [...this.#problems, ...[...this.#running].flatMap(([name, process]) => alarmsOf(name, process))];
  }

  async start(name: string): Promise<void> {
    if (this.#running.has(name)) throw new Error(`${name} is running already`);
    const process = await startProcessor({
      ...this.#options,
      env: {
        INSTANCE_ID: name,
        LOG_LEVEL: 'info',
        DLQ_MAX_LENGTH: '10000000',
        DRAIN_TIMEOUT_MS: '15000',
        // If it were shorter, replicas would claim each other's entries at every short delay, until they are quarantined.
        CLAIM_IDLE_MS: '1500',
        // Ten years: the load has fixed times.
        PAST_LIMIT_MS: '315360000000',
        CLAIM_INTERVAL_MS: '500',
        ...this.#options.env,
      },
    });
    this.#running.set(name, process);
    void this.#watch(name, process);
  }

  freeze(name: string): void {
    this.#running.get(name)?.kill('SIGSTOP');
  }

  thaw(name: string): void {
    this.#running.get(name)?.kill('SIGCONT');
  }

  async kill(name: string): Promise<void> {
    await this.#remove(name)?.crash();
  }

  /** Resolves with its exit code, or with the signal that ended it. */
  async stop(name: string): Promise<number | string | null> {
    const end = await this.#remove(name)?.stop();
    return end?.signal ?? end?.code ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.names.map((name) => this.kill(name)));
  }

  async #watch(name: string, process: RunningProcessor): Promise<void> {
    const { code, signal } = await process.exited;
    // `kill` and `stop` remove it before they end it.
    if (this.#running.get(name) !== process) return;
    this.#running.delete(name);
    const last = process.lines.slice(-3).map((line) => JSON.stringify(line));
    this.#problems.push(`${name} ended by itself with ${signal ?? code}: ${last.join(' ')}`);
    this.#failed.abort();
  }

  #remove(name: string): RunningProcessor | undefined {
    const process = this.#running.get(name);
    if (process === undefined) return undefined;
    this.#running.delete(name);
    this.#problems.push(...alarmsOf(name, process));
    return process;
  }
}

function alarmsOf(name: string, { lines }: RunningProcessor): readonly string[] {
  const alarms = lines.filter(({ msg }) => falseAlarm.test(msg));
  return alarms.map((line) => `${name} raised a false alarm: ${JSON.stringify(line)}`);
}
