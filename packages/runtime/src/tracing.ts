import type { OtlpOptions, TraceStep } from './otlp-tracing.ts';

export type { SpanOptions, TraceStep } from './otlp-tracing.ts';

export interface Tracing extends AsyncDisposable {
  /** Undefined if tracing is off: then OpenTelemetry is not loaded. */
  readonly trace: TraceStep | undefined;
}

/**
 * Starts exporting traces by OTLP over HTTP to `endpoint`; off if that is undefined.
 *
 * Spans that the collector does not accept are dropped, which is logged once per outage. Disposing exports the last
 * spans, for at most two seconds.
 */
export async function startTracing(
  options: Omit<OtlpOptions, 'endpoint'> & { readonly endpoint: string | undefined },
): Promise<Tracing> {
  const { endpoint } = options;
  if (endpoint === undefined) return { trace: undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { startOtlpTracing } = await import('./otlp-tracing.ts');
  return startOtlpTracing({ ...options, endpoint });
}
