import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Counter, Gauge, Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { startOpsServer } from '../src/ops-server.ts';
import type { OpsServer, HealthStatus } from '../src/ops-server.ts';

const good = (): HealthStatus => ({ ok: true });

let { log, lines } = captureLog();
let registry: Registry;
let health: () => HealthStatus;
let server: OpsServer;

beforeEach(async () => {
  ({ log, lines } = captureLog());
  registry = new Registry();
  health = good;
  server = await start();
});
afterEach(() => server[Symbol.asyncDispose]());

function start(port = 0): Promise<OpsServer> {
  return startOpsServer({
    host: '127.0.0.1',
    port,
    registry,
    isAlive: () => health(),
    isReady: () => health(),
    log,
  });
}

function ask(path: string, method = 'GET'): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.port}${path}`, { method });
}

describe('/metrics', () => {
  test('returns the metrics of the registry with its content type', async () => {
    new Counter({ name: 'acks_total', help: 'Acks.', registers: [registry] }).inc(3);
    const response = await ask('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(registry.contentType);
    expect(await response.text()).toContain('\nacks_total 3\n');
  });

  test('responds 500 and logs when a metric cannot be collected', async () => {
    const broken = new Gauge({
      name: 'lag',
      help: 'Lag.',
      registers: [registry],
      collect() {
        throw new Error('no Redis');
      },
    });
    expect((await ask('/metrics')).status).toBe(500);
    expect(lines.join('')).toContain('no Redis');
    registry.removeSingleMetric('lag');
    expect(broken).toBeDefined();
    expect((await ask('/metrics')).status).toBe(200);
  });
});

describe.each(['/healthz', '/readyz'])('%s', (path) => {
  test('responds 200 ok, and to HEAD without a body', async () => {
    const response = await ask(path);
    expect([response.status, await response.text()]).toEqual([200, 'ok\n']);
    const head = await ask(path, 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '3', '']);
  });

  test('responds 503 with the reason, not cached', async () => {
    health = () => ({ ok: false, reason: 'Postgres does not answer' });
    const response = await ask(`${path}?verbose=1`);
    expect([response.status, await response.text()]).toEqual([503, 'Postgres does not answer\n']);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test('responds 500 and logs when the check throws', async () => {
    health = () => {
      throw new Error('check failed');
    };
    expect((await ask(path)).status).toBe(500);
    expect(lines.join('')).toContain('check failed');
    health = good;
    expect((await ask(path)).status).toBe(200);
  });
});

test('other paths are 404, other methods 405', async () => {
  for (const path of ['/', '/metrics/', '/healthz/x', '//metrics', '/%6detrics']) {
    expect((await ask(path)).status).toBe(404);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = await ask('/metrics', method);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  }
});

test('invalid HTTP gets a 400, and the server continues', async () => {
  const socket = connect(server.port, '127.0.0.1');
  socket.write('\u0000\u0001\u0002 garbage\r\n\r\n');
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /u);
  expect((await ask('/healthz')).status).toBe(200);
});

test('disposing closes idle connections and incomplete requests', async () => {
  const silent = connect(server.port, '127.0.0.1');
  await once(silent, 'connect');
  const halfSent = connect(server.port, '127.0.0.1');
  halfSent.write('GET /healthz HTTP/1.1\r\nhost:');
  await (await ask('/healthz')).text();
  const closed = [silent, halfSent].map((socket) =>
    once(
      socket.on('error', () => undefined),
      'close',
    ),
  );
  await server[Symbol.asyncDispose]();
  await Promise.all(closed);
  await expect(ask('/healthz')).rejects.toThrow('fetch failed');
  server = await start();
});

test('an address in use is reported with the settings to change', async () => {
  await expect(start(server.port)).rejects.toThrow(
    `cannot listen on 127.0.0.1:${server.port} for the ops endpoints; set METRICS_HOST and METRICS_PORT`,
  );
});
