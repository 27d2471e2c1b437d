import type { TraceStep } from '@app/runtime/tracing';
import { sampledTraceOf } from '@app/shared/traceparent';
import type { Entry } from '../stream/entry-reply.ts';

/** Runs the insert of one batch as one traced step, linked to those of its entries that were sent under a trace. */
export function traceInsert<T>(
  trace: TraceStep | undefined,
  stream: string,
  entries: readonly Entry[],
  insert: () => Promise<T>,
): Promise<T> {
  if (trace === undefined) return insert();
  const span = {
    name: `insert ${stream}`,
    kind: 'consumer',
    attributes: {
      'messaging.system': 'redis',
      'messaging.destination.name': stream,
      'messaging.batch.message_count': entries.length,
      'db.system.name': 'postgresql',
      'db.collection.name': 'positions',
    },
    links: entries.flatMap(({ fields }) => sampledTraceOf(fields) ?? []),
  } as const;
  return trace(span, insert);
}
