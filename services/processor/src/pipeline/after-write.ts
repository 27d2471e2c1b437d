import type { Logger } from '@app/runtime/log';
import { shortDeviceId } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { Fix, Rejected } from '../fix.ts';
import type { StateTransition } from '../state/device-states.ts';

export interface AfterWriteContext {
  readonly stream: string;
  /** Fixes whose device and time were stored already, perhaps with other content. */
  readonly repeated: ReadonlySet<Fix>;
  /** Aborted when the process gives up; a step that waits for something must observe it. */
  readonly signal: AbortSignal;
}

/**
 * The domain step: called with fixes once they are committed, in stream order. Delivery is at least once: after a crash,
 * or when the consumer group is recreated at 0, earlier fixes are delivered again. Implementations must be idempotent.
 *
 * An error refuses fixes: a batch that keeps failing is passed fix by fix, and those that fail alone are dead-lettered. So
 * a step whose dependency is down waits for it, instead of throwing.
 */
export type AfterWrite = (
  transitions: readonly StateTransition[],
  context: AfterWriteContext,
) => Promise<void>;

/** Attempts with the whole batch, before its fixes are passed one by one. */
const batchAttempts = 4;
const maxAttempts = 8;
/** More devices than this, in a batch or without a success in between, point to a fault of the step, not of the fixes. */
const maxFailedDevices = 10;

/** Calls the domain step of one stream; later batches wait. */
export class DomainStep {
  readonly #afterWrite: AfterWrite;
  readonly #stream: string;
  readonly #onRetry: () => void;
  readonly #log: Logger;
  /** Devices whose fixes failed alone since the last success. */
  readonly #failedDevices = new Set<string>();

  constructor(afterWrite: AfterWrite, stream: string, onRetry: () => void, log: Logger) {
    this.#afterWrite = afterWrite;
    this.#stream = stream;
    this.#onRetry = onRetry;
    this.#log = log;
  }

  /** Returns the fixes that the step refuses. Rejects if it fails for the fixes of too many devices. */
  async run(
    transitions: readonly StateTransition[],
    repeated: ReadonlySet<Fix>,
    signal: AbortSignal,
  ): Promise<readonly Rejected[]> {
    if (transitions.length === 0) return [];
    const context = { stream: this.#stream, repeated, signal };
    return retry(
      async (attempt) => {
        if (attempt > batchAttempts) return this.#runOneByOne(transitions, context, attempt === maxAttempts);
        await this.#afterWrite(transitions, context);
        this.#failedDevices.clear();
        return [];
      },
      {
        signal,
        maxAttempts,
        onRetry: (error, delayMs, attempt) => {
          this.#onRetry();
          this.#log.error(
            { stream: this.#stream, error, attempt, delayMs },
            'domain step failed; stream blocked until it succeeds',
          );
        },
      },
    );
  }

  /** While every fix fails it is retried, for the cause may be an outage; unless this is the last attempt. */
  async #runOneByOne(
    transitions: readonly StateTransition[],
    context: AfterWriteContext,
    isLast: boolean,
  ): Promise<readonly Rejected[]> {
    const failures: { readonly fix: StateTransition['fix']; readonly error: unknown }[] = [];
    for (const transition of transitions) {
      try {
        await this.#afterWrite([transition], context);
      } catch (error) {
        context.signal.throwIfAborted();
        const { fix } = transition;
        failures.push({ fix, error });
        this.#onRetry();
        this.#failedDevices.add(fix.position.deviceId);
        this.#assertFewFailedDevices(fix.entry.id, error);
      }
    }
    const hasSucceeded = failures.length < transitions.length;
    if (!hasSucceeded && !isLast) throw failures[0]?.error;
    if (hasSucceeded) this.#failedDevices.clear();
    return failures.map(({ fix, error }) => this.#refuse(fix, error));
  }

  #assertFewFailedDevices(entryId: string, cause: unknown): void {
    const devices = this.#failedDevices.size;
    if (devices <= maxFailedDevices) return;
    throw new Error(
      `The domain step fails for fixes of ${devices} devices, the last one in entry ${entryId}: deploy a version that accepts them. Nothing was dead-lettered`,
      { cause },
    );
  }

  #refuse({ entry, position: { deviceId } }: StateTransition['fix'], error: unknown): Rejected {
    this.#log.error(
      { stream: this.#stream, entryId: entry.id, device: shortDeviceId(deviceId), error },
      'domain step failed for one fix',
    );
    const type = error instanceof Error ? error.name : typeof error;
    return {
      entry,
      reason: 'domain_step_failed',
      // The message may quote the fix, and positions are personal data.
      detail: `the row is stored; the domain step fails for this fix alone (${type})`,
      deviceId,
    };
  }
}
