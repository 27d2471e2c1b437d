import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
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
      const body = await json(request);
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

// ExportTraceServiceRequest: resourceSpans › scopeSpans › spans, names in camel case, ids in hexadecimal.
function readSpans(body: unknown): readonly ReceivedSpan[] {
  return list(body, 'resourceSpans').flatMap((resourceSpans) => {
    const service = readAttributes(property(resourceSpans, 'resource')).get('service.name');
    return list(resourceSpans, 'scopeSpans')
      .flatMap((scopeSpans) => list(scopeSpans, 'spans'))
      .map((span) => ({
        service: String(service),
        name: String(property(span, 'name')),
        kind: Number(property(span, 'kind')),
        traceId: String(property(span, 'traceId')),
        durationMs:
          Number(
            BigInt(String(property(span, 'endTimeUnixNano'))) -
              BigInt(String(property(span, 'startTimeUnixNano'))),
          ) / 1e6,
        attributes: readAttributes(span),
        links: list(span, 'links').map((link) => ({
          traceId: String(property(link, 'traceId')),
          spanId: String(property(link, 'spanId')),
        })),
        isFailed: property(property(span, 'status'), 'code') === 2,
        message: stringOf(property(property(span, 'status'), 'message')),
      }));
  });
}

function readAttributes(owner: unknown): ReadonlyMap<string, string | number> {
  return new Map(
    list(owner, 'attributes').map((attribute) => {
      const value = property(attribute, 'value');
      const stringValue = stringOf(property(value, 'stringValue'));
      return [String(property(attribute, 'key')), stringValue ?? Number(property(value, 'intValue'))];
    }),
  );
}

function list(owner: unknown, name: string): readonly unknown[] {
  const value = property(owner, name);
  return Array.isArray(value) ? value : [];
}

function property(owner: unknown, name: string): unknown {
  return typeof owner === 'object' && owner !== null ? Reflect.get(owner, name) : undefined;
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
