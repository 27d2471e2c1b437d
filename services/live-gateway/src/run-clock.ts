/** How often the clock reads the time by itself. A stop counts as this much. */
const readIntervalMs = 100;
/** A longer time without a reading is time in which the process did not run. */
const maxGapMs = 1_000;

/**
 * A monotonic clock that stands still while the process does not run: stopped by a signal, a debugger or a paused virtual
 * machine, or without CPU for longer than `maxGapMs`. What clients sent meanwhile is read only afterwards, so that by
 * any other clock they would all have been silent, unresponsive or too fast.
 *
 * Only for durations: it has nothing to do with the time of day.
 */
export class RunClock implements Disposable {
  readonly #monotonicMs: () => number;
  readonly #onStopped: (stoppedMs: number) => void;
  readonly #timer: NodeJS.Timeout;
  #readAtMs: number;
  #stoppedMs = 0;

  /** @param onStopped called once after each time in which the process did not run. */
  constructor(
    onStopped: (stoppedMs: number) => void = () => undefined,
    monotonicMs: () => number = () => performance.now(),
  ) {
    this.#onStopped = onStopped;
    this.#monotonicMs = monotonicMs;
    this.#readAtMs = monotonicMs();
    this.#timer = setInterval(() => this.nowMs(), readIntervalMs).unref();
  }

  nowMs(): number {
    const atMs = this.#monotonicMs();
    const gapMs = atMs - this.#readAtMs;
    this.#readAtMs = atMs;
    // Noticed by whatever asks first after the stop, before it compares anything with a deadline.
    if (gapMs > maxGapMs) {
      this.#stoppedMs += gapMs - readIntervalMs;
      this.#onStopped(gapMs);
    }
    return atMs - this.#stoppedMs;
  }

  /** The total time in which the process did not run. */
  get stoppedMs(): number {
    this.nowMs();
    return this.#stoppedMs;
  }

  /** A signal that aborts after `ms` by this clock, and a function to cancel it. */
  abortAfter(ms: number): { readonly signal: AbortSignal; readonly cancel: () => void } {
    const controller = new AbortController();
    const deadlineMs = this.nowMs() + ms;
    let timer: NodeJS.Timeout | undefined;
    const wait = (): void => {
      const leftMs = deadlineMs - this.nowMs();
      if (leftMs <= 0) controller.abort();
      else timer = setTimeout(wait, Math.ceil(leftMs));
    };
    wait();
    return { signal: controller.signal, cancel: () => clearTimeout(timer) };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
