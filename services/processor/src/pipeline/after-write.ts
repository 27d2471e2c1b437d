import type { Logger } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { StateTransition } from '../state/device-states.ts';

/**
 * The domain step: called with fixes once they are committed, in stream order. Delivery is at least once: after a crash,
 * or when the consumer group is recreated at 0, earlier fixes are delivered again. Implementations must be idempotent.
 */
export type AfterWrite = (transitions: readonly StateTransition[]) => Promise<void>;

const maxAttempts = 8;

/** Calls the domain step until it succeeds; later batches wait. Rejects with its error after the last attempt. */
export async function runAfterWrite(
  afterWrite: AfterWrite,
  transitions: readonly StateTransition[],
  {
    signal,
    onRetry,
    log,
  }: { readonly signal: AbortSignal; readonly onRetry: () => void; readonly log: Logger },
): Promise<void> {
  if (transitions.length === 0) return;
  await retry(() => afterWrite(transitions), {
    signal,
    maxAttempts,
    onRetry: (error, delayMs, attempt) => {
      onRetry();
      log.error({ error, attempt, delayMs }, 'domain step failed; stream blocked until it succeeds');
    },
  });
}
