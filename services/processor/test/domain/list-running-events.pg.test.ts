import { migrate } from '@app/migrate/migrate';
import { connectPostgres, endPostgres } from '@app/runtime/postgres';
import { asRole } from '@app/test-kit/as-role';
import { createDirectusTables } from '@app/test-kit/directus-tables';
import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { createRunningEventsLister } from '../../src/domain/list-running-events.ts';
import { idOf, insertRace } from '../support/insert-race.ts';
import { observe } from '../support/observed.ts';

const password = 'of-this-test';
const offLine = /^warn: results are not computed/u;
const onLine = /^info: results are computed/u;

test('running events are listed once the tables exist and may be read; what is missing is logged once', async () => {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await startPostgres({ empty: true }));
  const admin = stack.adopt(postgres(database.url, { max: 1, onnotice: () => undefined }), (sql) =>
    sql.end(),
  );
  const login = { name: 'processor', memberOf: 'tracking_processor', password } as const;
  await migrate(database.url, { logins: [login] });
  const target = asRole(database.url, login.name, password);
  const pooler = stack.use(await startPgBouncer({ target, poolMode: 'transaction' }));
  const { log, lines, messages } = observe();
  const sql = stack.adopt(
    connectPostgres(pooler.url, {
      name: 'test',
      log,
      maxConnections: 1,
      statementTimeoutMs: 10_000,
      link: 'pooled',
    }),
    (pool) => endPostgres(pool),
  );
  const list = createRunningEventsLister(log);
  const said = () => messages.filter((message) => message.includes('results are'));

  expect(await list(sql)).toEqual([]);
  expect(await list(sql)).toEqual([]);
  expect(said()).toEqual([expect.stringMatching(offLine)]);
  expect(lines.at(-1)?.['columns']).toContain('stages');

  // The tables exist, and the processor's right to read them does not.
  await createDirectusTables(admin);
  await insertRace(admin);
  await admin`
    insert into events (id, name, race_status) values
      (${idOf('event', 2)}, 'Later', 'planned'), (${idOf('event', 3)}, 'Earlier', 'finished'),
      (${idOf('event', 4)}, null, 'running')`;
  expect(await list(sql)).toEqual([]);
  expect(said()).toHaveLength(1);

  await migrate(database.url);
  const running = [
    { id: idOf('event', 1), name: 'Rally' },
    { id: idOf('event', 4), name: '' },
  ];
  expect(await list(sql)).toEqual(running);
  expect(await list(sql)).toEqual(running);
  expect(said()).toEqual([expect.stringMatching(offLine), expect.stringMatching(onLine)]);

  await admin`alter table gates drop column dead_time_s`;
  await admin`revoke select (reason) on decisions from tracking_processor`;
  expect(await list(sql)).toEqual([]);
  expect(await list(sql)).toEqual([]);
  expect(said()).toHaveLength(3);
  expect(lines.at(-1)?.['columns']).toEqual(['gates.dead_time_s', 'decisions.reason']);
});
