import { DeadlineError } from '@app/runtime/deadline';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import { observe } from '../support/observed.ts';
import { openClient } from '../support/postgres-clients.ts';

const database = await startPostgres();

afterAll(() => database[Symbol.asyncDispose]());

test('with its connections black-holed the client is replaced, and the new one works at once', async () => {
  await using network = await startFaultyNetwork({ target: database.url });
  await using at = openClient(network.through(database.url), observe().log, { deadlineMs: 300 });
  const queries = (): Promise<unknown>[] =>
    Array.from({ length: 3 }, () => at.client.run((sql) => sql`select pg_sleep(0.01)`));
  await Promise.all(queries());
  expect(at.connects()).toBe(1);

  // As after a firewall forgot them: nothing comes back on the present connections, and no error either.
  network.halfOpen();
  const outcomes = await Promise.allSettled(queries());
  expect(
    outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof DeadlineError),
  ).toEqual([true, true, true]);
  expect(at.connects()).toBe(2);
  await Promise.all(queries());
  expect(at.connects()).toBe(2);
});

test('connections to a server that became read-only are left: those made later may write', async () => {
  const sql = postgres(database.url, { fetch_types: false, max: 1 });
  const [row] = await sql<{ name: string }[]>`select current_database() as name`;
  const name = sql(row?.name ?? '');
  await sql`alter database ${name} set default_transaction_read_only = on`;
  await using at = openClient(database.url, observe().log);
  const write = (): Promise<unknown> => at.client.run((client) => client`create table written (n int)`);
  await expect(write()).rejects.toMatchObject({ code: '25006' });
  // A failover has ended; the connections made in it stay as they were.
  await sql`set default_transaction_read_only = off`;
  await sql`alter database ${name} reset default_transaction_read_only`;
  await write();
  expect(at.connects()).toBe(2);
  await sql.end();
});

test('an error that is no missed deadline keeps the client', async () => {
  await using at = openClient(database.url, observe().log);
  await expect(at.client.run((sql) => sql`select 1 / 0`)).rejects.toMatchObject({ code: '22012' });
  await at.client.run((sql) => sql`select 1`);
  expect(at.connects()).toBe(1);
});
