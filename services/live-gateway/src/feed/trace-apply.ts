import type { TraceStep } from '@app/runtime/tracing';
import { sampledTraceOf } from '@app/shared/traceparent';
import type { StreamEntry } from './read-stream.ts';

/**
 * Applies what one read brought as one traced step, linked to those of its entries that were sent under a trace.
 * `apply` runs at once and to its end, traced or not.
 */
export async function traceApply(
  trace: TraceStep,
  stream: string,
  entries: readonly StreamEntry[],
  apply: () => void,
): Promise<void> {
  const words = {
    name: `apply ${stream}`,
    kind: 'consumer',
    attributes: {
      'messaging.system': 'redis',
      'messaging.destination.name': stream,
      'messaging.batch.message_count': entries.length,
    },
    links: entries.flatMap(({ fields }) => sampledTraceOf(fields) ?? []),
  } as const;
  await trace(words, () => {
    apply();
    return Promise.resolve();
  });
}
