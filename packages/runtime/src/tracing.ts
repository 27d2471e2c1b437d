import type { Logger } from './log.ts';
import type { Tracing } from './trace-step.ts';

export type { SpanOptions, TraceStep, Tracing } from './trace-step.ts';

/**
 * Traces by OTLP over HTTP to `endpoint`, or not at all where that is undefined.
 *
 * Traces are a convenience: those that the collector does not take are dropped, which is logged once, and disposing
 * waits for the last ones no longer than two seconds.
 */
export async function startTracing(options: {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT` */
  readonly endpoint: string | undefined;
  /** `TRACE_SAMPLE_RATIO` */
  readonly sampleRatio: number;
  readonly service: string;
  readonly instanceId: string;
  readonly log: Logger;
}): Promise<Tracing> {
  const { endpoint } = options;
  if (endpoint === undefined) return { trace: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { startOtlpTracing } = await import('./otlp-tracing.ts');
  return startOtlpTracing({ ...options, endpoint });
}
