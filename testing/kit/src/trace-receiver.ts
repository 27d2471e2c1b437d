import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';

/** The parts of an exported span that tests check. */
export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly durationMs: number;
  readonly attributes: ReadonlyMap<string, string | number>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isFailed: boolean;
  /** The status message of a failed span. */
  readonly message: string | undefined;
}

export interface TraceReceiver extends AsyncDisposable {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Sets the status of the next responses; 200 at first. */
  answer(status: number): void;
  readonly refused: () => number;
}

/** A collector: accepts OTLP over HTTP, in JSON, at `/v1/traces`, and keeps the spans. */
export async function startTraceReceiver(): Promise<TraceReceiver> {
  const spans: ReceivedSpan[] = [];
  let status = 200;
  let refused = 0;
  const server = createServer((request, response) => {
    void receive();
    async function receive(): Promise<void> {
      const body: TraceRequest = JSON.parse(await text(request));
      if (request.url !== '/v1/traces' || request.method !== 'POST') response.writeHead(404).end();
      else if (status === 200) {
        spans.push(...readSpans(body));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      } else {
        refused += 1;
        response.writeHead(status).end();
      }
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    spans,
    answer: (next) => {
      status = next;
    },
    refused: () => refused,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

type Attributes = readonly {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string | number };
}[];

/** ExportTraceServiceRequest in JSON: names in camel case, ids in hexadecimal. */
interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly kind: number;
        readonly traceId: string;
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes?: Attributes;
        readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
        readonly status?: { readonly code?: number; readonly message?: string };
      }[];
    }[];
  }[];
}

function readSpans({ resourceSpans }: TraceRequest): readonly ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map(({ name, kind, traceId, startTimeUnixNano, endTimeUnixNano, attributes, links = [], status }) => ({
        service: String(readAttributes(resource.attributes).get('service.name')),
        name,
        kind,
        traceId,
        durationMs: Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6,
        attributes: readAttributes(attributes),
        links: links.map(({ traceId: linkedTraceId, spanId }) => ({ traceId: linkedTraceId, spanId })),
        isFailed: status?.code === 2,
        message: status?.message,
      })),
  );
}

function readAttributes(attributes: Attributes = []): ReadonlyMap<string, string | number> {
  return new Map(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]));
}
