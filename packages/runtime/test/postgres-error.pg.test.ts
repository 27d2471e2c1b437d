import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DeadlineError, withDeadline } from '../src/deadline.ts';
import { classifyPostgresError, sqlState } from '../src/postgres-error.ts';
import type { PostgresErrorClass } from '../src/postgres-error.ts';

let url: string;
let sql: postgres.Sql;
const started = new AsyncDisposableStack();

beforeAll(async () => {
  ({ url } = started.use(await startPostgres({ empty: true })));
  sql = client(url);
  await sql`
    create table fixes (
      device_id text not null,
      speed real not null check (speed >= 0),
      parent text references fixes (device_id),
      unique (device_id)
    )`;
});
afterAll(() => started.disposeAsync());

function client(to: string, max = 2): postgres.Sql {
  const opened = postgres(to, { max, onnotice: () => undefined });
  started.defer(() => opened.end({ timeout: 1 }));
  return opened;
}

async function errorOf(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

describe('an error raised by Postgres', () => {
  const cases: readonly (readonly [string, string, PostgresErrorClass, () => PromiseLike<unknown>])[] = [
    ['a string that is not a number', '22P02', 'data', () => sql`select ${'abc'}::text::real`],
    ['a number out of range', '22003', 'data', () => sql`select ${'1e400'}::text::double precision`],
    ['a NUL in JSON', '22P05', 'data', () => sql`select ${String.raw`"\u0000"`}::text::jsonb`],
    ['a missing value', '23502', 'data', () => sql`insert into fixes (device_id) values ('a')`],
    ['a check violation', '23514', 'data', () => sql`insert into fixes values ('a', -1)`],
    ['a missing parent', '23503', 'data', () => sql`insert into fixes values ('a', 1, 'b')`],
    [
      'a duplicate without ON CONFLICT',
      '23505',
      'fatal',
      () => sql`insert into fixes values ('a', 1), ('a', 1)`,
    ],
    ['a missing table', '42P01', 'fatal', () => sql`select from nothing`],
    ['a missing column', '42703', 'fatal', () => sql`select nothing from fixes`],
    ['a syntax error', '42601', 'fatal', () => sql.unsafe('selekt 1')],
    [
      'a row updated twice',
      '21000',
      'fatal',
      () => sql`
      insert into fixes values ('a', 1), ('a', 2) on conflict (device_id) do update set speed = excluded.speed`,
    ],
    ['a wrong password', '28P01', 'fatal', () => client(withPassword('wrong'))`select 1`],
    ['a missing database', '3D000', 'fatal', () => client(withDatabase('nothing'))`select 1`],
    [
      'a statement timeout',
      '57014',
      'transient',
      () =>
        sql.begin(async (tx) => {
          await tx`set local statement_timeout = 20`;
          await tx`select pg_sleep(10)`;
        }),
    ],
    [
      'a read-only server',
      '25006',
      'transient',
      () => sql.begin('read only', (tx) => tx`insert into fixes values ('a', 1)`),
    ],
    [
      'a lock timeout',
      '55P03',
      'transient',
      () =>
        whileLocked(() =>
          sql.begin(async (tx) => {
            await tx`set local lock_timeout = 20`;
            await tx`insert into fixes values ('a', 1)`;
          }),
        ),
    ],
    ['a deadlock', '40P01', 'transient', deadlock],
    ['a serialization failure', '40001', 'transient', serializationFailure],
  ];

  test.each(cases)('%s (%s) is %s', async (_what, state, expected, fail) => {
    const error = await errorOf(fail());
    expect([sqlState(error), classifyPostgresError(error)]).toEqual([state, expected]);
  });
});

test('a terminated backend is transient, also for the next statement', async () => {
  const writer = client(url, 1);
  const first = await errorOf(writer`select pg_terminate_backend(pg_backend_pid()), pg_sleep(10)`);
  // The driver rejects the next statement with the same 57P01 without running it.
  const second = await errorOf(writer`select 1`);
  expect([first, second].map((error) => classifyPostgresError(error))).toEqual(['transient', 'transient']);
  expect(sqlState(second)).toBe('57P01');
  expect(await writer`select 1 as one`).toEqual([{ one: 1 }]);
});

describe('an SQLSTATE', () => {
  const table: Readonly<Record<PostgresErrorClass, readonly string[]>> = {
    transient: [
      '08000',
      '08001',
      '08003',
      '08004',
      '08006',
      '08P01',
      '25006',
      '26000',
      '40001',
      '40003',
      '40P01',
      '53000',
      '53100',
      '53200',
      '53300',
      '55P03',
      '57014',
      '57P01',
      '57P02',
      '57P03',
      '57P05',
      '58000',
      '58030',
      '58P01',
    ],
    data: ['22001', '22003', '22007', '22008', '22021', '22023', '22P02', '22P05', '23502', '23503', '23514'],
    fatal: [
      '0A000',
      '21000',
      '23000',
      '23505',
      '23P01',
      '25001',
      '25P02',
      '28000',
      '28P01',
      '3D000',
      '3F000',
      '40002',
      '42501',
      '42601',
      '42703',
      '42804',
      '42P01',
      '42P10',
      '53400',
      '54000',
      '55000',
      '57000',
      '57P04',
      'P0001',
      'XX000',
      'XX001',
    ],
  };

  test.each(
    Object.entries(table).flatMap(([expected, states]) => states.map((state) => [state, expected] as const)),
  )('%s is %s', async (state, expected) => {
    const error = await errorOf(
      sql.unsafe(`do $$ begin raise exception 'test' using errcode = '${state}'; end $$`),
    );
    expect([sqlState(error), classifyPostgresError(error)]).toEqual([state, expected]);
    // As services wrap it.
    const wrapped = new Error('insert of 3 rows failed', { cause: error });
    expect([sqlState(wrapped), classifyPostgresError(wrapped)]).toEqual([state, expected]);
  });
});

describe('an error without an SQLSTATE', () => {
  test('is transient if connecting failed or the connection was lost', async () => {
    const refused = await errorOf(client('postgres://a:b@127.0.0.1:1/c')`select 1`);
    const unknownHost = await errorOf(client('postgres://a:b@no-such-host.invalid:1/c')`select 1`);
    const ended = client(url);
    await ended.end();
    for (const error of [refused, unknownHost, await errorOf(ended`select 1`)]) {
      expect([sqlState(error), classifyPostgresError(error)]).toEqual([undefined, 'transient']);
    }
  });

  test('is transient if it is a missed deadline', async () => {
    const error = await errorOf(withDeadline(sql`select pg_sleep(0.2)`, 5, 'insert'));
    expect(error).toBeInstanceOf(DeadlineError);
    expect(classifyPostgresError(error)).toBe('transient');
  });

  test('is transient with a system error code that looks like an SQLSTATE', () => {
    const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    expect([sqlState(error), classifyPostgresError(error)]).toEqual([undefined, 'transient']);
  });

  test('is fatal if it is a bug', async () => {
    const tooMany = await errorOf(sql`select 1 where 1 in ${sql(Array.from({ length: 65_535 }, () => 1))}`);
    for (const error of [tooMany, new TypeError('x is not a function'), 'a thrown string', undefined]) {
      expect([sqlState(error), classifyPostgresError(error)]).toEqual([undefined, 'fatal']);
    }
  });
});

function withPassword(password: string): string {
  const changed = new URL(url);
  changed.password = password;
  return changed.href;
}

function withDatabase(database: string): string {
  const changed = new URL(url);
  changed.pathname = database;
  return changed.href;
}

async function whileLocked(work: () => PromiseLike<unknown>): Promise<unknown> {
  return await sql.begin(async (tx) => {
    await tx`lock table fixes`;
    return await work();
  });
}

/** Two transactions wait for each other's lock; Postgres aborts one of them. */
async function deadlock(): Promise<unknown> {
  const locked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const transaction = (own: number, other: number): Promise<unknown> =>
    sql.begin(async (tx) => {
      await tx`set local deadlock_timeout = 10`;
      await tx`select pg_advisory_xact_lock(${own})`;
      locked[own]?.resolve();
      await Promise.all(locked.map(({ promise }) => promise));
      await tx`select pg_advisory_xact_lock(${other})`;
    });
  return await Promise.all([transaction(0, 1), transaction(1, 0)]);
}

async function serializationFailure(): Promise<unknown> {
  await sql`insert into fixes values ('serial', 1) on conflict do nothing`;
  return await sql.begin('isolation level repeatable read', async (tx) => {
    await tx`select from fixes`;
    await sql`update fixes set speed = speed + 1 where device_id = 'serial'`;
    await tx`update fixes set speed = speed + 1 where device_id = 'serial'`;
  });
}
