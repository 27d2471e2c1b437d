import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { Logger } from './log.ts';
import { withDeadline } from './deadline.ts';

export interface HealthStatus {
  readonly ok: boolean;
  /** Why not, for the one who looks; no secrets. */
  readonly reason?: string;
}

export interface OpsServer extends AsyncDisposable {
  /** The port that it listens on: the one asked for, or the one the system chose for 0. */
  readonly port: number;
}

interface OpsOptions {
  readonly host: string;
  readonly port: number;
  readonly registry: Registry;
  readonly isAlive: () => HealthStatus;
  readonly isReady: () => HealthStatus;
  readonly log?: Logger;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const collectTimeoutMs = 5_000;

/**
 * Serves `/metrics` (Prometheus), `/healthz` and `/readyz` (200 `ok`, or 503
 * with the reason) until it is disposed. Rejects when the address is taken.
 */
export async function startOpsServer(options: OpsOptions): Promise<OpsServer> {
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => void respond(request, response, options),
  );
  await listen(server, options);
  // Such as too many open files at an accept: without a listener it would end the process.
  server.on('error', (error) => options.log?.error({ error }, 'ops: the server reports an error'));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      // A scraper's idle connection would hold the stop up for its keep-alive time.
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, { host, port }: OpsOptions): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (cause) {
    throw new Error(
      `cannot listen on ${host}:${port} for the ops endpoints; set METRICS_HOST and METRICS_PORT to a free address`,
      { cause },
    );
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: OpsOptions,
): Promise<void> {
  try {
    const answer = await answerTo(request, options);
    response.writeHead(answer.status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(answer.body),
      'cache-control': 'no-store',
      ...answer.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  } catch (error) {
    options.log?.error({ error }, 'ops: could not answer; the connection is cut');
    response.destroy();
  }
}

async function answerTo(request: IncomingMessage, options: OpsOptions): Promise<Answer> {
  const path = request.url?.split('?', 1)[0];
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
    return { status: 404, body: 'not found; there are /metrics, /healthz and /readyz\n' };
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'only GET and HEAD\n', headers: { allow: 'GET, HEAD' } };
  }
  try {
    return path === '/metrics'
      ? await collect(options.registry)
      : judge(path === '/healthz' ? options.isAlive() : options.isReady());
  } catch (error) {
    options.log?.error({ error, path }, 'ops: could not answer');
    return { status: 500, body: 'failed; the log says why\n' };
  }
}

async function collect(registry: Registry): Promise<Answer> {
  const body = await withDeadline(registry.metrics(), collectTimeoutMs, 'the collection of the metrics');
  return { status: 200, body, headers: { 'content-type': registry.contentType } };
}

function judge(verdict: HealthStatus): Answer {
  return verdict.ok
    ? { status: 200, body: 'ok\n' }
    : { status: 503, body: `${verdict.reason ?? 'no reason given'}\n` };
}
