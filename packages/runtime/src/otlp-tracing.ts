import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { readBuildInfo } from './build-info.ts';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';

const exportTimeoutMs = 5_000;
const shutdownTimeoutMs = 2_000;
const maxLinks = 64;
const kinds = { consumer: SpanKind.CONSUMER, client: SpanKind.CLIENT } as const;

/** Name and attributes of a span. They must not contain a position, a cookie or a full IMEI. */
export interface SpanOptions {
  readonly name: string;
  /** `consumer` for handling messages, `client` for a request to another service. */
  readonly kind: 'consumer' | 'client';
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Spans that sent the messages handled. A span with links is always recorded. */
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** Runs `step` immediately, settles as it does, and records its duration and whether it failed. */
export type TraceStep = <T>(options: SpanOptions, step: () => Promise<T>) => Promise<T>;

export interface OtlpOptions {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT` */
  readonly endpoint: string;
  /** `TRACE_SAMPLE_RATIO` */
  readonly sampleRatio: number;
  readonly service: string;
  readonly instanceId: string;
  readonly log: Logger;
}

/** See `startTracing`, which imports this file only if tracing is on: no other file imports OpenTelemetry. */
export function startOtlpTracing(options: OtlpOptions): AsyncDisposable & { readonly trace: TraceStep } {
  const { endpoint, sampleRatio, service, instanceId, log } = options;
  const { version } = readBuildInfo();
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/u, '')}/v1/traces`,
    timeoutMillis: exportTimeoutMs,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instanceId,
    }),
    spanLimits: { linkCountLimit: maxLinks },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: logOutages(exporter, log),
        scheduledDelayMillis: 1000,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  const tracer = provider.getTracer('live-tracking', version);

  const trace: TraceStep = async ({ name, kind, attributes, links = [] }, step) => {
    if (links.length === 0 && Math.random() >= sampleRatio) return step();
    const span = tracer.startSpan(name, {
      kind: kinds[kind],
      attributes,
      links: links
        .slice(0, maxLinks)
        .map((link) => ({ context: { ...link, traceFlags: TraceFlags.SAMPLED, isRemote: true } })),
      root: true,
    });
    try {
      return await step();
    } catch (error) {
      // Only the class of the error: its message may contain data.
      const message = error instanceof Error ? error.name : typeof error;
      span.setStatus({ code: SpanStatusCode.ERROR, message });
      throw error;
    } finally {
      span.end();
    }
  };
  let shutdown: Promise<void> | undefined;
  return {
    trace,
    [Symbol.asyncDispose]: () =>
      (shutdown ??= withDeadline(provider.shutdown(), shutdownTimeoutMs, 'trace export').catch(
        () => undefined,
      )),
  };
}

/** Wraps an exporter to log once when exports start to fail and once when they succeed again. */
function logOutages(exporter: SpanExporter, log: Logger): SpanExporter {
  let isFailing = false;
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        const hasFailed = result.error !== undefined;
        if (hasFailed && !isFailing)
          log.warn({ error: result.error }, 'traces: export failed; spans dropped');
        if (!hasFailed && isFailing) log.info('traces: export succeeded again');
        isFailing = hasFailed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
