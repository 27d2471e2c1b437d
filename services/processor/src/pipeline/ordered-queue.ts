/**
 * Runs up to `capacity` tasks concurrently and completes them in the order in which they were pushed.
 *
 * The first failure, of a task's work or completion, aborts `failed` and ends the queue: no later task completes, and
 * tasks pushed afterwards are not started.
 */
export class OrderedQueue {
  readonly #capacity: number;
  readonly #failure = new AbortController();
  /** Oldest first; each fulfils when its task has completed or failed. */
  readonly #running: Promise<void>[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Aborted with the error of the first task that fails. */
  get failed(): AbortSignal {
    return this.#failure.signal;
  }

  /** Starts `work` once there is capacity; `complete` gets its result after the previous task has completed. */
  async push<T>(work: () => Promise<T>, complete: (result: T) => Promise<void>): Promise<void> {
    while (this.#running.length >= this.#capacity) await this.#running[0];
    if (this.failed.aborted) return;
    const task = this.#run(work(), this.#running.at(-1), complete).finally(() => {
      void this.#running.shift();
    });
    this.#running.push(task);
  }

  async #run<T>(
    working: Promise<T>,
    previous: Promise<void> | undefined,
    complete: (result: T) => Promise<void>,
  ): Promise<void> {
    try {
      const result = await working;
      await previous;
      if (!this.failed.aborted) await complete(result);
    } catch (error) {
      this.#failure.abort(error);
      // Tasks leave the queue in order, those that failed too.
      await previous;
    }
  }

  /** Resolves when every task has completed; rejects with the first failure once no task runs any more. */
  async drain(): Promise<void> {
    await Promise.all(this.#running);
    this.failed.throwIfAborted();
  }
}
