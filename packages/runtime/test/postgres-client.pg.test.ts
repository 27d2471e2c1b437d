import { connect, type Socket } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import { DeadlineError } from '../src/deadline.ts';
import { PostgresClient } from '../src/postgres-client.ts';

const database = await startPostgres();

afterAll(() => database[Symbol.asyncDispose]());

/** A client that counts its connection pools and ends all of them. */
function openClient(url: string, deadlineMs = 5000, options: object = {}) {
  const pools: postgres.Sql[] = [];
  const client = new PostgresClient(() => {
    const sql = postgres(url, { fetch_types: false, max: 3, ...options });
    pools.push(sql);
    return sql;
  }, deadlineMs);
  return {
    client,
    poolCount: () => pools.length,
    async [Symbol.asyncDispose]() {
      await Promise.all(pools.map((sql) => sql.end({ timeout: 0 })));
    },
  };
}

test('black-holed connections are replaced once, and the new pool works immediately', async () => {
  await using network = await startFaultyNetwork({ target: database.url });
  await using opened = openClient(network.through(database.url), 300);
  const runQueries = (): Promise<unknown>[] =>
    Array.from({ length: 3 }, () => opened.client.run((sql) => sql`select pg_sleep(0.01)`, 'sleeping'));
  // Connecting may itself miss the deadline on a busy machine.
  await eventually(() => Promise.all(runQueries()));
  const poolCount = opened.poolCount();

  // As when a firewall drops its connection table: neither data nor an error comes back.
  network.halfOpen();
  const outcomes = await Promise.allSettled(runQueries());
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(DeadlineError) });
    expect(outcome).toHaveProperty('reason.message', 'sleeping did not complete within 300 ms');
  }
  expect(opened.poolCount()).toBe(poolCount + 1);
  await eventually(() => Promise.all(runQueries()));
});

test('a statement sent while its connection is being lost misses its deadline, and the next ones work', async () => {
  await using network = await startFaultyNetwork({ target: database.url });
  const sockets: Socket[] = [];
  const open = { max: 1, socket: () => sockets[sockets.push(connect(network.port, '127.0.0.1')) - 1] };
  await using opened = openClient(network.through(database.url), 3000, open);
  const ping = (): Promise<unknown> => opened.client.run((sql) => sql.unsafe('select 1'));
  // Connecting may itself miss the deadline on a busy machine.
  await eventually(() => ping());
  const asked = new Promise<unknown>((resolve) => {
    // After the error, before the close: both come in one iteration of the event loop.
    sockets.at(-1)?.once('error', () => setImmediate(() => resolve(ping().catch((error: unknown) => error))));
  });
  network.cut();
  expect(await asked).toBeInstanceOf(DeadlineError);
  for (let n = 0; n < 3; n += 1) await ping();
});

test('connections to a server that became read-only are replaced', async () => {
  const sql = postgres(database.url, { fetch_types: false, max: 1 });
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  const name = sql(row?.name ?? '');
  await sql`alter database ${name} set default_transaction_read_only = on`;
  await using opened = openClient(database.url);
  const write = (): Promise<unknown> => opened.client.run((client) => client`create table written (n int)`);
  await expect(write()).rejects.toMatchObject({ code: '25006' });
  // The failover is over; connections opened during it stay read-only.
  await sql`set default_transaction_read_only = off`;
  await sql`alter database ${name} reset default_transaction_read_only`;
  await write();
  expect(opened.poolCount()).toBe(2);
  await sql.end();
});

test('other errors keep the pool', async () => {
  await using opened = openClient(database.url);
  await expect(opened.client.run((sql) => sql`select 1 / 0`)).rejects.toMatchObject({ code: '22012' });
  await opened.client.run((sql) => sql`select 1`);
  expect(opened.poolCount()).toBe(1);
});
