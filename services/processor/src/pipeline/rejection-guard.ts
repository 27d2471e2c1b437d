import type { Logger } from '@app/runtime/log';
import { delay } from '@app/runtime/retry';
import type { Rejected } from '../fix.ts';
import type { Metrics } from '../metrics.ts';
import type { StopSignals } from './dead-letter-queue.ts';
import { type MassRejection, RejectionWindow } from './rejection-window.ts';

const progressIntervalMs = 1000;
const maxLoggedIds = 10;

export interface RejectionGuardOptions {
  readonly stream: string;
  /** `DLQ_ACCEPT_REASONS`. */
  readonly acceptedReasons: readonly string[];
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Measures the clocks by which arrivals are corrected. */
  readonly measureClocks: () => Promise<void>;
  /** Called while the stream is stopped: a loop that waits is alive. */
  readonly onProgress: () => void;
}

/** `outdated`: decode the batch again. `stopped`: leave it pending. */
export type Admission = 'admitted' | 'outdated' | 'stopped';

/**
 * Stops the stream while most entries are rejected, which would empty it into the dead letters. It waits instead of ending
 * the process: a process that is restarted for ever would dead-letter a few hundred entries at each start.
 */
export class RejectionGuard {
  readonly #options: RejectionGuardOptions;
  #window: RejectionWindow;
  #mass: MassRejection | undefined;

  constructor(options: RejectionGuardOptions) {
    this.#options = options;
    this.#window = new RejectionWindow(options.acceptedReasons);
    options.metrics.streamStopped.set({ stream: options.stream }, 0);
  }

  /** Why the stream is stopped; undefined while it is not. */
  get stopReason(): string | undefined {
    if (this.#mass === undefined) return undefined;
    const { entries, rejected, reasons } = this.#mass;
    return `${rejected} of the last ${entries} entries were rejected (${Object.keys(reasons).join(', ')})`;
  }

  /**
   * Whether the rejected entries of a batch may be dead-lettered, and the batch acknowledged. Before the stream is stopped,
   * and each second while it is, the clocks are measured: a batch that was decoded before Redis' clock was known to be wrong
   * is outdated. Resolves after the stop if the stream was stopped until then.
   *
   * @param isOutdated whether the batch would be decoded otherwise now.
   */
  async admit(
    entries: number,
    rejected: readonly Rejected[],
    isOutdated: () => boolean,
    { stop, giveUp }: StopSignals,
  ): Promise<Admission> {
    // Those that were in flight when the correction changed.
    if (isOutdated()) return 'outdated';
    const mass = this.#window.observe(entries, rejected);
    if (rejected.length === 0) return 'admitted';
    if (this.#mass === undefined && mass === undefined) return 'admitted';
    const ended = AbortSignal.any([stop, giveUp]);
    while (!ended.aborted) {
      this.#options.onProgress();
      await this.#options.measureClocks();
      if (isOutdated()) {
        this.#resume();
        return 'outdated';
      }
      if (mass !== undefined && this.#mass === undefined) this.#stop(mass, rejected);
      await delay(progressIntervalMs, ended).catch(() => undefined);
    }
    giveUp.throwIfAborted();
    return 'stopped';
  }

  /** What was rejected by the wrong clock proves nothing any more. */
  #resume(): void {
    const { stream, acceptedReasons, metrics, log } = this.#options;
    this.#window = new RejectionWindow(acceptedReasons);
    const wasStopped = this.#mass !== undefined;
    this.#mass = undefined;
    metrics.streamStopped.set({ stream }, 0);
    log.warn(
      { stream, wasStopped },
      'most entries were rejected by a wrong clock of Redis; arrivals are corrected now, and the entries are decoded again',
    );
  }

  #stop(mass: MassRejection, rejected: readonly Rejected[]): void {
    this.#mass = mass;
    const { stream, acceptedReasons, metrics, log } = this.#options;
    metrics.streamStopped.set({ stream }, 1);
    const ids = rejected.slice(0, maxLoggedIds).map(({ entry }) => entry.id);
    log.error(
      { stream, ...mass, detail: rejected[0]?.detail, ids, acceptedReasons },
      'stream stopped: most entries are rejected, and nothing more is dead-lettered or acknowledged; fix the cause and restart, or restart with the reasons in DLQ_ACCEPT_REASONS',
    );
  }
}
