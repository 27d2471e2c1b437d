import { once } from 'node:events';
import { connect as connectSocket, createServer } from 'node:net';
import { pipeline } from 'node:stream';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { beforeEach, describe, expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { withDeadline } from '../src/deadline.ts';
import { PostgresClient } from '../src/postgres-client.ts';
import {
  classifyPostgresError,
  connectPostgres,
  createPostgresHealthCheck,
  endPostgres,
  densify,
  sqlState,
  waitForPostgres,
} from '../src/postgres.ts';
import type { Sql } from '../src/postgres.ts';

const never = new AbortController().signal;
const unreachable = 'postgres://app:hunter2@127.0.0.1:1/tracking';

let { log, lines, messages } = captureLog();

beforeEach(() => {
  ({ log, lines, messages } = captureLog());
});

/** A pool that is ended at the end of the block. */
function connect(url: string): AsyncDisposable & { readonly sql: Sql } {
  const sql = connectPostgres(url, { name: 'test-writer', log, maxConnections: 2, statementTimeoutMs: 300 });
  return { sql, [Symbol.asyncDispose]: () => endPostgres(sql, { timeoutMs: 0 }) };
}

async function rejectionOf(work: PromiseLike<unknown>): Promise<unknown> {
  return await work.then(
    () => 'resolved',
    (error: unknown) => error,
  );
}

interface Proxy extends AsyncDisposable {
  readonly url: string;
  /** Connects to the server at this port from now on. */
  forwardTo(port: number): void;
}

/** A proxy without a server yet: it accepts each connection and closes it. */
async function startProxy(credentials = 'app:hunter2'): Promise<Proxy> {
  let target = 0;
  const server = createServer((socket) => {
    if (target === 0) {
      socket.destroy();
    } else {
      pipeline(socket, connectSocket(target, '127.0.0.1'), socket, () => undefined);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `postgres://${credentials}@127.0.0.1:${port}/postgres`,
    forwardTo(to) {
      target = to;
    },
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

describe('connectPostgres', () => {
  test('sets the application name and the statement timeout', async () => {
    await using database = await startPostgres({ empty: true });
    await using client = connect(database.url);
    const [row] = await client.sql`
      select current_setting('application_name') as name, current_setting('statement_timeout') as "statementTimeout"`;
    expect(row).toEqual({ name: 'test-writer', statementTimeout: '300ms' });
    const error = await rejectionOf(client.sql`select pg_sleep(10)`);
    expect(sqlState(error)).toBe('57014');
  });

  test('a lost connection rejects only its statement, with nothing uncaught', async () => {
    await using database = await startPostgres({ empty: true });
    const admin = postgres(database.url, { max: 1 });
    const outcomes: string[] = [];
    const ends = [];
    for (let n = 0; n < 60; n += 1) {
      const client = connect(database.url);
      // An unhandled rejection would fail the run.
      const statement = client.sql`select pg_sleep(0.005)`.then(
        () => 'answered',
        (error: unknown) => classifyPostgresError(error),
      );
      ends.push(statement.then(() => client[Symbol.asyncDispose]()));
      void statement.then((outcome) => outcomes.push(outcome));
      await admin`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
    }
    await Promise.all(ends);
    await admin.end();
    expect(outcomes).toHaveLength(60);
    expect(new Set(outcomes).difference(new Set(['answered', 'transient']))).toEqual(new Set());
    expect(outcomes).toContain('transient');
  });

  test('logs a notice at debug instead of printing it', async () => {
    await using database = await startPostgres({ empty: true });
    await using client = connect(database.url);
    await client.sql`drop table if exists nothing`;
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"level":"debug"');
    expect(lines[0]).toContain('does not exist, skipping');
  });

  test('rejects a statement in flight when its connection is lost, and new ones during the outage', async () => {
    await using server = await startOwnPostgres();
    await using client = connect(server.url);
    await client.sql`select 1`;
    const inFlight = rejectionOf(client.sql`select pg_sleep(10)`);
    await server.kill();
    expect(classifyPostgresError(await inFlight)).toBe('transient');
    expect(classifyPostgresError(await rejectionOf(client.sql`select 1`))).toBe('transient');
    await server.start();
    await waitForPostgres(() => client.sql`select 1`, { signal: never, log });
    expect(await client.sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  test('a statement does not settle if a proxy closes its connection, and a new pool works', async () => {
    await using proxy = await startProxy();
    await using server = await startPostgres({ empty: true });
    await using stuck = connect(proxy.url);
    const statement = rejectionOf(stuck.sql`select 1`);
    await expect(withDeadline(statement, 300, 'insert')).rejects.toThrow(
      'insert did not complete within 300 ms',
    );
    await endPostgres(stuck.sql, { timeoutMs: 0 });
    expect(await statement).toMatchObject({ code: 'CONNECTION_DESTROYED' });
    await using fresh = connect(server.url);
    expect(await fresh.sql`select 1 as one`).toEqual([{ one: 1 }]);
  });
});

describe('waitForPostgres', () => {
  test('logs nothing if Postgres is up', async () => {
    await using database = await startPostgres({ empty: true });
    await using client = connect(database.url);
    await waitForPostgres(() => client.sql`select 1`, { signal: never, log });
    expect(lines).toEqual([]);
  });

  test('waits for a server that starts later, and logs it once', async () => {
    await using server = await startOwnPostgres();
    await server.stop();
    await using client = connect(server.url);
    const waiting = waitForPostgres(() => client.sql`select 1`, { signal: never, log });
    await eventually(() => messages().includes('postgres: not reachable; retrying'));
    await server.start();
    await waiting;
    expect(messages()).toEqual(['postgres: not reachable; retrying', 'postgres: reachable']);
  });

  test('waits behind a proxy that closes connections until the server is up', async () => {
    await using server = await startOwnPostgres();
    const { username, password, port } = new URL(server.url);
    await using proxy = await startProxy(`${username}:${password}`);
    await using client = connect(proxy.url);
    const waiting = waitForPostgres(() => client.sql`select 1`, { signal: never, log });
    await expect(withDeadline(waiting, 300, 'Postgres')).rejects.toThrow('did not complete');
    proxy.forwardTo(Number(port));
    await waiting;
    expect(await client.sql`select 1 as one`).toEqual([{ one: 1 }]);
  });

  test('rejects with the reason of the stop', async () => {
    await using client = connect(unreachable);
    const stop = new AbortController();
    const waiting = rejectionOf(waitForPostgres(() => client.sql`select 1`, { signal: stop.signal, log }));
    await eventually(() => lines.length > 0);
    stop.abort('stopped');
    expect(await waiting).toBe('stopped');
    expect(lines.join('')).not.toContain('hunter2');
  });

  test('rejects with an error that retrying cannot fix', async () => {
    await using database = await startPostgres({ empty: true });
    const url = new URL(database.url);
    url.pathname = 'nothing';
    await using client = connect(url.href);
    expect(
      sqlState(await rejectionOf(waitForPostgres(() => client.sql`select 1`, { signal: never, log }))),
    ).toBe('3D000');
  });
});

describe('endPostgres', () => {
  test('waits for statements in flight', async () => {
    await using database = await startPostgres({ empty: true });
    const { sql } = connect(database.url);
    const result = sql`select pg_sleep(0.1), 1 as one`.execute();
    await endPostgres(sql);
    expect(await result).toMatchObject([{ one: 1 }]);
  });

  test('rejects statements that the server does not answer in time', async () => {
    await using server = await startOwnPostgres();
    const { sql } = connect(server.url);
    await sql`select 1`;
    server.pause();
    const inFlight = rejectionOf(sql`select 1`);
    await endPostgres(sql, { timeoutMs: 100 });
    expect(await inFlight).toMatchObject({ code: 'CONNECTION_DESTROYED' });
    server.resume();
  });
});

/** A check through a client whose pool has one connection. */
function checkThrough(url: string, deadlineMs = 2_000) {
  let pools = 0;
  const client = new PostgresClient((link) => {
    pools += 1;
    return connectPostgres(url, { name: 'test', log, maxConnections: 1, statementTimeoutMs: 0, link });
  }, deadlineMs);
  let probes = 0;
  const ping = () => {
    probes += 1;
    return client.run((sql) => sql.unsafe('select 1'));
  };
  const check = createPostgresHealthCheck({ ping, signal: never, intervalMs: 20, log });
  return {
    isReady: () => check.isReady(),
    pools: () => pools,
    probes: () => probes,
    async [Symbol.asyncDispose]() {
      await check[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    },
  };
}

describe('createPostgresHealthCheck', () => {
  test('is ready after the first successful probe, and follows outages of the server', async () => {
    await using server = await startOwnPostgres();
    await using check = checkThrough(server.url);
    expect(check.isReady()).toBe(false);
    await eventually(() => check.isReady());
    await server.stop();
    await eventually(() => !check.isReady());
    await server.start();
    await eventually(() => check.isReady());
    expect(messages()).toEqual(['postgres: ready', 'postgres: not ready', 'postgres: ready']);
  });

  test('is not ready while the server does not respond, and recovers', async () => {
    await using server = await startOwnPostgres();
    await using check = checkThrough(server.url, 200);
    await eventually(() => check.isReady());
    server.pause();
    await eventually(() => !check.isReady());
    const probesWhenPaused = check.probes();
    await eventually(() => check.probes() > probesWhenPaused + 5);
    expect(check.isReady()).toBe(false);
    server.resume();
    await eventually(() => check.isReady());
  });

  test('a connection that leads nowhere is replaced after one missed probe', async () => {
    await using database = await startPostgres({ empty: true });
    await using network = await startFaultyNetwork({ target: database.url });
    await using check = checkThrough(network.through(database.url), 1_000);
    await eventually(() => check.isReady());
    const pools = check.pools();
    network.halfOpen();
    await eventually(() => !check.isReady());
    await eventually(() => check.isReady());
    expect(check.pools()).toBe(pools + 1);
  });

  test('stops probing when it is stopped or disposed', async () => {
    const stop = new AbortController();
    let probes = 0;
    const ping = (): Promise<void> => {
      probes += 1;
      return Promise.resolve();
    };
    const check = createPostgresHealthCheck({ ping, signal: stop.signal, intervalMs: 60_000, log });
    await eventually(() => check.isReady());
    stop.abort();
    await check[Symbol.asyncDispose]();
    expect(probes).toBe(1);
  });
});

test('densify removes the holes in the result after a statement that failed midway', async () => {
  await using server = await startPostgres();
  const options = { name: 'test-rows', log, maxConnections: 1, statementTimeoutMs: 5000 };
  const sql = connectPostgres(server.url, options);
  // Fails after some rows.
  const failing = sql`select 1 / (2000 - n) as n from generate_series(1, 3000) as n`;
  expect(sqlState(await rejectionOf(failing))).toBe('22012');
  const result = await sql<{ n: number }[]>`select n from generate_series(1, 2) as n`;
  // If this fails, `densify` is no longer needed.
  expect(result.length).toBeGreaterThan(2);
  expect(densify(result)).toEqual([{ n: 1 }, { n: 2 }]);
  await endPostgres(sql, { timeoutMs: 0 });
});
