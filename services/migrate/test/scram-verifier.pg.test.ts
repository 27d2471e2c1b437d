import { asRole } from '@app/test-kit/as-role';
import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { migrate } from '../src/migrate.ts';
import { scramVerifier } from '../src/scram-verifier.ts';

test('matches the verifier of Postgres, and is stored for login roles', async () => {
  await using database = await startPostgres();
  await using sql = Object.assign(postgres(database.url, { max: 1, onnotice: () => undefined }), {
    [Symbol.asyncDispose]: () => sql.end(),
  });
  const storedVerifier = async (role: string): Promise<string> => {
    const rows = await sql<{ rolpassword: string }[]>`
      select rolpassword from pg_authid where rolname = ${role}`;
    return rows[0]?.rolpassword ?? '';
  };
  // Roles belong to the whole server, so drop it in the same transaction.
  const made = await sql.begin(async (transaction) => {
    await transaction`set local scram_iterations = 4096`;
    await transaction`create role scram_test login password ${transaction`'Ünlikely pässword'`}`;
    const rows = await transaction<{ rolpassword: string }[]>`
      select rolpassword from pg_authid where rolname = 'scram_test'`;
    await transaction`drop role scram_test`;
    return rows[0]?.rolpassword ?? '';
  });
  const salt = /^SCRAM-SHA-256\$4096:([^$]+)\$/u.exec(made)?.[1] ?? '';
  expect(scramVerifier('Ünlikely pässword', Buffer.from(salt, 'base64'))).toBe(made);

  const logins = [{ name: 'processor', memberOf: 'tracking_processor', password: 'first' }] as const;
  await migrate(database.url, { logins });
  const first = await storedVerifier('processor');
  expect(first).toMatch(/^SCRAM-SHA-256\$/u);
  await migrate(database.url, { logins: [{ ...logins[0], password: 'second' }] });
  expect(await storedVerifier('processor')).not.toBe(first);
});

test("PgBouncer lets the job's login in by its password in auth_file, as in the runbook", async () => {
  await using database = await startOwnPostgres();
  const logins = [{ name: 'processor', memberOf: 'tracking_processor', password: 'of the login' }] as const;
  await migrate(database.url, { logins });
  await using pooler = await startPgBouncer({
    target: asRole(database.url, 'processor', 'of the login'),
    poolMode: 'transaction',
    settings: { auth_type: 'scram-sha-256' },
  });
  await using sql = Object.assign(postgres(pooler.url, { max: 1, fetch_types: false }), {
    [Symbol.asyncDispose]: () => sql.end(),
  });
  expect(await sql`select current_user as login`.simple()).toEqual([{ login: 'processor' }]);
  const other = postgres(asRole(pooler.url, 'live_gateway', 'unknown to it'), { max: 1, fetch_types: false });
  await expect(other`select 1`.simple()).rejects.toThrow(/authentication failed/u);
  await other.end();
});
