import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { CommitWatch } from '../../src/processor/commit-watch.ts';

test('a transaction is seen when it commits, not when it writes', async () => {
  await using database = await startPostgres({ empty: true });
  await using cleanup = new AsyncDisposableStack();
  const sql = cleanup.adopt(postgres(database.url, { max: 3 }), (client) => client.end());
  await sql`create table notes (note text)`;
  const watch = new CommitWatch(sql);
  let writtenAtMs = 0;
  let committingAtMs = 0;
  await sql.begin(async (transaction) => {
    await transaction`insert into notes values ('long')`;
    writtenAtMs = performance.timeOrigin + performance.now();
    // A second transaction begins and commits meanwhile.
    await sql`insert into notes values ('short')`;
    await transaction`select pg_sleep(0.2)`;
    committingAtMs = performance.timeOrigin + performance.now();
  });
  const commitOf = await watch.stop();
  const rows = await sql<{ note: string; transaction: number }[]>`
    select note, xmin::text::float8 as transaction from notes order by note`;
  const [long, short] = rows.map(({ transaction }) => commitOf(transaction));
  expect(rows).toMatchObject([{ note: 'long' }, { note: 'short' }]);
  expect(long?.seenAtMs).toBeGreaterThanOrEqual(committingAtMs);
  expect(long?.notBeforeMs).toBeGreaterThanOrEqual(writtenAtMs);
  expect(short?.seenAtMs).toBeLessThan(long?.seenAtMs ?? 0);
  expect(short?.notBeforeMs).toBeLessThan(short?.seenAtMs ?? 0);
});
