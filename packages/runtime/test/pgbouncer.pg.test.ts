import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import { type PgBouncerOptions, startPgBouncer } from '@app/test-kit/pgbouncer';
import postgres from 'postgres';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { classifyPostgresError, sqlState } from '../src/postgres-error.ts';
import { PostgresClient } from '../src/postgres-client.ts';
import type { PostgresLink } from '../src/postgres-link.ts';
import { connectPostgres, waitForPostgres } from '../src/postgres.ts';

const database = await startPostgres({ empty: true });
const never = new AbortController().signal;
let { log, messages } = captureLog();

afterAll(() => database[Symbol.asyncDispose]());
beforeEach(() => {
  ({ log, messages } = captureLog());
});

/** Connected as the services are. */
function openClient(url: string) {
  const links: PostgresLink[] = [];
  const client = new PostgresClient((link) => {
    links.push(link);
    return connectPostgres(url, {
      name: 'test-writer',
      log,
      maxConnections: 4,
      statementTimeoutMs: 300,
      link,
    });
  }, 5000);
  return { client, links, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

async function rejectionOf(work: PromiseLike<unknown>): Promise<unknown> {
  return await work.then(
    () => 'resolved',
    (error: unknown) => error,
  );
}

const ping = (client: PostgresClient) => () => client.run((sql) => sql.unsafe('select 1'));

test('a direct connection is recognised, and its pool is kept', async () => {
  await using opened = openClient(database.url);
  await ping(opened.client)();
  await ping(opened.client)();
  expect(opened.links).toEqual(['direct']);
});

describe.each<Omit<PgBouncerOptions, 'target'>>([
  { poolMode: 'session' },
  { poolMode: 'transaction' },
  { poolMode: 'transaction', settings: { ignore_startup_parameters: 'statement_timeout' } },
])('behind PgBouncer with %j', ({ poolMode, settings }) => {
  const startPooler = (poolSize: string) =>
    startPgBouncer({
      target: database.url,
      poolMode,
      settings: { ...settings, default_pool_size: poolSize },
    });

  test('values arrive as they were sent', async () => {
    await using pooler = await startPooler('20');
    await using opened = openClient(pooler.url);
    const values = [
      "it's",
      'back\\slash',
      String.raw`\'; select 1; --`,
      'ü€😀',
      '$1',
      '{"a":"\\u0000\\n"}',
      '',
    ];
    const sent = values.map((value) =>
      opened.client.run((sql) => sql`select ${value}::text as value, ${1.5}::float8 + 1 as number`),
    );
    const rows = await Promise.all(sent);
    expect(opened.links).toEqual(['direct', 'pooled']);
    expect(rows.map(([row]) => row)).toEqual(values.map((value) => ({ value, number: 2.5 })));
    const numbered = opened.client.run((sql) =>
      sql.unsafe('select $2::text || $1::text as joined, $10::text as tenth', 'abcdefghij'.split('')),
    );
    expect(await numbered).toMatchObject([{ joined: 'ba', tenth: 'j' }]);
  });

  test('a statement that runs too long is cancelled, and nothing is left in the session of the server', async () => {
    await using pooler = await startPooler(poolMode === 'session' ? '20' : '1');
    await using opened = openClient(pooler.url);
    const sleeping = opened.client.run((sql) => sql`select pg_sleep(${10}::float8)`);
    expect(sqlState(await rejectionOf(sleeping))).toBe('57014');
    await Promise.all(Array.from({ length: 20 }, ping(opened.client)));
    const other = postgres(pooler.url, { max: 1, prepare: false, fetch_types: false });
    const left = other`
      select current_setting('statement_timeout') as timeout,
             (select count(*)::int from pg_prepared_statements) as prepared`.simple();
    expect(await left).toEqual([{ timeout: '0', prepared: 0 }]);
    await other.end();
    expect(messages().filter((line) => line.startsWith('postgres: '))).toEqual([]);
  });
});

test('an outage behind PgBouncer is waited for', { timeout: 90_000 }, async () => {
  await using server = await startOwnPostgres();
  const target = new URL(server.url);
  target.pathname = '/tracking';
  const admin = postgres(server.url, { max: 1, fetch_types: false });
  await admin`create database tracking`;
  const startPooler = () =>
    startPgBouncer({
      target: target.href,
      poolMode: 'transaction',
      settings: { server_login_retry: '1' },
    });
  await using warm = await startPooler();
  await using opened = openClient(warm.url);
  await ping(opened.client)();
  // The server is there and refuses logins, as one that starts, stops or recovers does.
  await admin`alter database tracking allow_connections false`;
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = 'tracking'`;
  await using cold = await startPooler();
  await using late = openClient(cold.url);
  const refused = await rejectionOf(ping(late.client)());
  expect([sqlState(refused), classifyPostgresError(refused)]).toEqual(['08P01', 'transient']);
  await admin.end();
  await server.stop();
  const waiting = [opened, late].map(({ client }) => waitForPostgres(ping(client), { signal: never, log }));
  await server.start();
  const restarted = postgres(server.url, { max: 1, fetch_types: false });
  await restarted`alter database tracking allow_connections true`;
  await restarted.end();
  await Promise.all(waiting);
});

describe('a pooler that is misconfigured ends the wait with the reason', () => {
  const refusals: readonly [string, RegExp, (url: URL) => void][] = [
    ['no such database', /no such database: nothing/, (url) => (url.pathname = '/nothing')],
    ['a wrong password', /authentication failed/, (url) => (url.password = 'wrong')],
    ['an unknown user', /no such user|authentication failed/, (url) => (url.username = 'nobody')],
  ];

  test.each(refusals)('%s', async (_what, reason, change) => {
    await using pooler = await startPgBouncer({ target: database.url, poolMode: 'transaction' });
    const url = new URL(pooler.url);
    change(url);
    await using opened = openClient(url.href);
    const error = await rejectionOf(waitForPostgres(ping(opened.client), { signal: never, log }));
    expect(error).toHaveProperty('message', expect.stringMatching(reason));
    expect(error).toHaveProperty(
      'message',
      expect.stringContaining('Correct POSTGRES_URL or its configuration'),
    );
    expect(sqlState(error)).toBe('08P01');
  });
});
