import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { expect, test } from 'vitest';
import { openFixture } from './support/open-fixture.ts';
import { refuseRows } from './support/refuse-rows.ts';
import { cleanExit } from './support/start-processor.ts';
import { record, records, send } from './support/telemetry.ts';

test('behind PgBouncer in transaction mode every record is stored once or dead-lettered', async () => {
  await using fixture = await openFixture();
  await using pooler = await startPgBouncer({
    target: fixture.postgresUrl,
    poolMode: 'transaction',
    // Fewer than the processor opens, so that its statements share them.
    settings: { default_pool_size: '2' },
  });
  await refuseRows(fixture.sql, 'refused', '23514');
  const sent = await send(fixture.redis, fixture.stream, records(1000));
  const twice = record({ deviceId: 'twice', attributes: { note: `it's a \\ "quote"` } });
  const others = await send(fixture.redis, fixture.stream, [
    twice,
    twice,
    { ...twice, position: { ...twice.position, speedKmh: 99 } },
    record({ deviceId: 'refused' }),
  ]);
  const deadLettered = new Map([
    [others[2]?.id ?? '', 'same_time'],
    [others[3]?.id ?? '', 'row_refused'],
  ]);
  const processor = await fixture.start({ postgresUrl: pooler.url });
  await fixture.expectStored([...sent, ...others], { deadLettered });
  expect(await processor.stop()).toEqual(cleanExit);
  expect(processor.lines.filter(({ msg }) => msg === 'insert failed; retrying')).toEqual([]);
});

test('a pooler that does not know the database ends the processor with the reason', async () => {
  await using fixture = await openFixture();
  await using pooler = await startPgBouncer({ target: fixture.postgresUrl, poolMode: 'transaction' });
  const url = new URL(pooler.url);
  url.pathname = '/nothing';
  const processor = await fixture.start({ postgresUrl: url.href });
  expect(await processor.exited).toMatchObject({ code: 1 });
  expect(processor.lines.filter(({ level }) => level === 'fatal')).toMatchObject([
    {
      error: {
        message:
          'Postgres, or the pooler in front of it, refuses the connection (no such database: nothing). Correct POSTGRES_URL or its configuration',
      },
    },
  ]);
});
