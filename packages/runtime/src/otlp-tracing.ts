import { SpanKind, SpanStatusCode, TraceFlags } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import { readBuildInfo } from './build-info.ts';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import type { TraceStep, Tracing } from './trace-step.ts';

const exportTimeoutMs = 5_000;
const lastExportMs = 2_000;
const maxLinks = 64;
const kinds = { consumer: SpanKind.CONSUMER, client: SpanKind.CLIENT } as const;

/** See `startTracing`; this file alone knows OpenTelemetry's packages, and is loaded where they are used. */
export function startOtlpTracing(options: {
  readonly endpoint: string;
  readonly sampleRatio: number;
  readonly service: string;
  readonly instanceId: string;
  readonly log: Logger;
}): Tracing {
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
        exporter: reportOutages(exporter, log),
        scheduledDelayMillis: 1000,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  const tracer = provider.getTracer('live-tracking', version);

  const trace: TraceStep = async (words, step) => {
    const links = (words.links ?? []).slice(0, maxLinks);
    if (links.length === 0 && Math.random() >= sampleRatio) return step();
    const span = tracer.startSpan(words.name, {
      kind: kinds[words.kind],
      attributes: words.attributes,
      links: links.map((link) => ({ context: { ...link, traceFlags: TraceFlags.SAMPLED, isRemote: true } })),
      root: true,
    });
    try {
      return await step();
    } catch (error) {
      // Of an error its class alone: its message may quote what it failed on.
      const message = error instanceof Error ? error.name : typeof error;
      span.setStatus({ code: SpanStatusCode.ERROR, message });
      throw error;
    } finally {
      span.end();
    }
  };
  let ending: Promise<void> | undefined;
  return {
    trace,
    [Symbol.asyncDispose]: () =>
      (ending ??= withDeadline(provider.shutdown(), lastExportMs, 'the last traces').catch(() => undefined)),
  };
}

/** The same exporter, saying in the log when the collector stops taking traces and when it takes them again. */
function reportOutages(exporter: SpanExporter, log: Logger): SpanExporter {
  let isFailing = false;
  return {
    export: (spans, done) => {
      exporter.export(spans, (result) => {
        const hasFailed = result.error !== undefined;
        if (hasFailed && !isFailing)
          log.warn({ error: result.error }, 'traces: the collector does not take them');
        if (!hasFailed && isFailing) log.info('traces: the collector takes them again');
        isFailing = hasFailed;
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
