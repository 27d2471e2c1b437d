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
  /** Called while the stream is stopped: a loop that waits is alive. */
  readonly onProgress: () => void;
}

/**
 * Stops the stream while most entries are rejected, which would empty it into the dead letters. It waits instead of ending
 * the process: a process that is restarted for ever would dead-letter a few hundred entries at each start.
 */
export class RejectionGuard {
  readonly #options: RejectionGuardOptions;
  readonly #window: RejectionWindow;
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
   * Whether the rejected entries of a batch may be dead-lettered, and the batch acknowledged. If not, it resolves after the
   * stop, and the batch has to stay pending.
   */
  async admit(
    entries: number,
    rejected: readonly Rejected[],
    { stop, giveUp }: StopSignals,
  ): Promise<boolean> {
    const mass = this.#window.observe(entries, rejected);
    if (rejected.length === 0) return true;
    if (this.#mass === undefined) {
      if (mass === undefined) return true;
      this.#mass = mass;
      this.#report(mass, rejected);
    }
    const ended = AbortSignal.any([stop, giveUp]);
    while (!ended.aborted) {
      this.#options.onProgress();
      await delay(progressIntervalMs, ended).catch(() => undefined);
    }
    giveUp.throwIfAborted();
    return false;
  }

  #report(mass: MassRejection, rejected: readonly Rejected[]): void {
    const { stream, acceptedReasons, metrics, log } = this.#options;
    metrics.streamStopped.set({ stream }, 1);
    const ids = rejected.slice(0, maxLoggedIds).map(({ entry }) => entry.id);
    log.error(
      { stream, ...mass, detail: rejected[0]?.detail, ids, acceptedReasons },
      'stream stopped: most entries are rejected, and nothing more is dead-lettered or acknowledged; fix the cause and restart, or restart with the reasons in DLQ_ACCEPT_REASONS',
    );
  }
}
