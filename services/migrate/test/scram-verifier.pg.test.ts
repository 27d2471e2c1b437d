import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { migrate } from '../src/migrate.ts';
import { scramVerifier } from '../src/scram-verifier.ts';

test('is what Postgres makes of a password, and what is kept of one that the job sets', async () => {
  await using database = await startPostgres();
  await using sql = Object.assign(postgres(database.url, { max: 1, onnotice: () => undefined }), {
    [Symbol.asyncDispose]: () => sql.end(),
  });
  const kept = async (role: string): Promise<string> => {
    const rows = await sql<{ rolpassword: string }[]>`
      select rolpassword from pg_authid where rolname = ${role}`;
    return rows[0]?.rolpassword ?? '';
  };
  // A role is the whole server's: it goes with the transaction.
  const made = await sql.begin(async (transaction) => {
    await transaction`set local scram_iterations = 4096`;
    await transaction`create role of_postgres_itself login password ${transaction`'Ünlikely pässword'`}`;
    const rows = await transaction<{ rolpassword: string }[]>`
      select rolpassword from pg_authid where rolname = 'of_postgres_itself'`;
    await transaction`drop role of_postgres_itself`;
    return rows[0]?.rolpassword ?? '';
  });
  const salt = /^SCRAM-SHA-256\$4096:([^$]+)\$/u.exec(made)?.[1] ?? '';
  expect(scramVerifier('Ünlikely pässword', Buffer.from(salt, 'base64'))).toBe(made);

  const logins = [{ name: 'processor', memberOf: 'tracking_processor', password: 'first' }] as const;
  await migrate(database.url, { logins });
  const first = await kept('processor');
  expect(first).toMatch(/^SCRAM-SHA-256\$/u);
  await migrate(database.url, { logins: [{ ...logins[0], password: 'second' }] });
  expect(await kept('processor')).not.toBe(first);
});
