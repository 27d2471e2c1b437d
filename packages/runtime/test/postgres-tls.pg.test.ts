import { chmod, mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificates } from '@app/test-kit/certificates';
import { startOwnPostgres } from '@app/test-kit/postgres';
import { afterAll, describe, expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { classifyPostgresError } from '../src/postgres-error.ts';
import { connectPostgres, endPostgres } from '../src/postgres.ts';

const { log } = captureLog();
const cleanup = new AsyncDisposableStack();
const { path: folder } = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'certificates-')));
// Postgres may run as another user.
await chmod(folder, 0o755);
const { ca, server: certificate, serverKey } = await createCertificates(folder);
await mkdir(join(folder, 'other'));
const { ca: otherCa } = await createCertificates(join(folder, 'other'));
const settings = { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: serverKey };
const server = cleanup.use(await startOwnPostgres({ settings }));

afterAll(() => cleanup.disposeAsync());

function urlOf(host: string, query: string): string {
  const url = new URL(server.url);
  url.hostname = host;
  return `${url.href}${query}`;
}

async function inspect(url: string) {
  const sql = connectPostgres(url, { name: 'service', log, maxConnections: 1, statementTimeoutMs: 5000 });
  try {
    const [row] = await sql`
      select ssl, current_setting('application_name') as name, current_setting('search_path') as path
        from pg_stat_ssl where pid = pg_backend_pid()`;
    return row;
  } finally {
    await endPostgres(sql, { timeoutMs: 0 });
  }
}

const root = (path: string): string => `sslrootcert=${encodeURIComponent(path)}`;

test.each([
  ['127.0.0.1', '', false],
  ['127.0.0.1', '?sslmode=disable', false],
  ['127.0.0.1', '?sslmode=require', true],
  ['127.0.0.1', '?sslmode=require&sslnegotiation=direct', true],
  ['127.0.0.1', `?sslmode=require&${root(ca)}`, true],
  ['127.0.0.1', `?sslmode=verify-ca&${root(ca)}`, true],
  ['localhost', `?sslmode=verify-full&${root(ca)}`, true],
  ['localhost', `?sslmode=verify-full&sslnegotiation=direct&${root(ca)}`, true],
])('%s %s connects, TLS %s', async (host, query, ssl) => {
  expect(await inspect(urlOf(host, query))).toMatchObject({ ssl, name: 'service' });
});

describe('a certificate is refused', () => {
  test.each([
    ['of another authority', '127.0.0.1', `?sslmode=verify-ca&${root(otherCa)}`, /certificate/],
    ['of another authority, with require', '127.0.0.1', `?sslmode=require&${root(otherCa)}`, /certificate/],
    ['that is not public', 'localhost', '?sslmode=verify-full', /certificate/],
    [
      'of another name',
      '127.0.0.1',
      `?sslmode=verify-full&${root(ca)}`,
      /does not match certificate's altnames/,
    ],
  ])('%s', async (_what, host, query, reason) => {
    const error: unknown = await inspect(urlOf(host, query)).catch((caught: unknown) => caught);
    expect(error).toHaveProperty('message', expect.stringMatching(reason));
    expect(classifyPostgresError(error)).toBe('fatal');
  });
});

test('the name and server settings of the URL are used', async () => {
  const query = '?application_name=race&options=-c%20search_path%3Drace';
  expect(await inspect(urlOf('127.0.0.1', query))).toMatchObject({ name: 'race', path: 'race' });
});

test('a server without TLS is not used where TLS is required', async () => {
  await using plain = await startOwnPostgres();
  const error: unknown = await inspect(`${plain.url}?sslmode=require`).catch((caught: unknown) => caught);
  // As a server that hangs up while it restarts.
  expect(error).toHaveProperty(
    'message',
    expect.stringContaining('before secure TLS connection was established'),
  );
  expect(classifyPostgresError(error)).toBe('transient');
});
