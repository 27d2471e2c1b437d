import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { Logger } from './log.ts';
import { withDeadline } from './deadline.ts';

export interface HealthStatus {
  readonly ok: boolean;
  /** Why not; sent in the response body, so it must not contain secrets. */
  readonly reason?: string;
}

export interface OpsServer extends AsyncDisposable {
  /** The port on which the server listens, also if `port` was 0. */
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

interface OpsResponse {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const collectTimeoutMs = 5_000;

/**
 * Serves `/metrics` (Prometheus), `/healthz` and `/readyz` (200 `ok`, or 503 with the reason) until it is disposed.
 * Rejects if the address is in use.
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
  // Without a listener an error such as EMFILE on accept would end the process.
  server.on('error', (error) => options.log?.error({ error }, 'ops: server error'));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      // An idle connection of a scraper would delay the stop for its keep-alive time.
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
    const reply = await handle(request, options);
    response.writeHead(reply.status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(reply.body),
      'cache-control': 'no-store',
      ...reply.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : reply.body);
  } catch (error) {
    options.log?.error({ error }, 'ops: response failed; connection closed');
    response.destroy();
  }
}

async function handle(request: IncomingMessage, options: OpsOptions): Promise<OpsResponse> {
  const path = request.url?.split('?', 1)[0];
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
    return { status: 404, body: 'not found; use /metrics, /healthz or /readyz\n' };
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, body: 'only GET and HEAD\n', headers: { allow: 'GET, HEAD' } };
  }
  try {
    return path === '/metrics'
      ? await collect(options.registry)
      : healthResponse(path === '/healthz' ? options.isAlive() : options.isReady());
  } catch (error) {
    options.log?.error({ error, path }, 'ops: request failed');
    return { status: 500, body: 'failed; see the log\n' };
  }
}

async function collect(registry: Registry): Promise<OpsResponse> {
  const body = await withDeadline(registry.metrics(), collectTimeoutMs, 'metrics collection');
  return { status: 200, body, headers: { 'content-type': registry.contentType } };
}

function healthResponse(health: HealthStatus): OpsResponse {
  return health.ok
    ? { status: 200, body: 'ok\n' }
    : { status: 503, body: `${health.reason ?? 'no reason given'}\n` };
}
