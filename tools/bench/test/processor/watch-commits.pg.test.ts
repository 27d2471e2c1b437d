import { eventually } from '@app/test-kit/eventually';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { watchCommits } from '../../src/processor/watch-commits.ts';

test('a transaction is reported when it commits, not when it writes', async () => {
  await using database = await startPostgres({ empty: true });
  await using cleanup = new AsyncDisposableStack();
  const sql = cleanup.adopt(postgres(database.url, { max: 3 }), (client) => client.end());
  await sql`create table notes (note text)`;
  await using watch = await watchCommits(sql, 'notes');
  await sql.begin(async (transaction) => {
    await transaction`insert into notes values ('long')`;
    // A second transaction begins and commits meanwhile.
    await sql`insert into notes values ('short')`;
    await eventually(() => watch.committedAtMs.size === 1);
  });
  await eventually(() => watch.committedAtMs.size === 2);
  const rows = await sql<
    { transaction: string }[]
  >`select xmin::text as transaction from notes order by note`;
  const [long = 0, short = 0] = rows.map(({ transaction }) => watch.committedAtMs.get(transaction));
  expect(short).toBeGreaterThan(0);
  expect(long).toBeGreaterThanOrEqual(short);
});
