import type { TraceStep } from '@app/runtime/tracing';
import { sampledTraceOf } from '@app/shared/traceparent';
import type { StreamEntry } from './read-stream.ts';

/**
 * Applies one read's entries inside one span, linked to the traces of its entries. `apply` runs synchronously, so that
 * no tick sees half of a read.
 */
export async function traceApply(
  trace: TraceStep,
  stream: string,
  entries: readonly StreamEntry[],
  apply: () => void,
): Promise<void> {
  const span = {
    name: `apply ${stream}`,
    kind: 'consumer',
    attributes: {
      'messaging.system': 'redis',
      'messaging.destination.name': stream,
      'messaging.batch.message_count': entries.length,
    },
    links: entries.flatMap(({ fields }) => sampledTraceOf(fields) ?? []),
  } as const;
  await trace(span, () => {
    apply();
    return Promise.resolve();
  });
}
