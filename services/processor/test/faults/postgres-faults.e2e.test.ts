import { eventually } from '@app/test-kit/eventually';
import { migrate } from '@app/migrate/migrate';
import { startOwnPostgres } from '@app/test-kit/postgres';
import { describe, expect, test } from 'vitest';
import {
  lockPositions,
  openFaultyFixture,
  stored,
  type FaultyFixture,
} from '../support/open-faulty-fixture.ts';
import { acceptRows, refuseRows } from '../support/refuse-rows.ts';
import { cleanExit, type RunningProcessor } from '../support/start-processor.ts';
import { record, records, send } from '../support/telemetry.ts';

const env = { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50' };

/**
 * Sends entries before, during and after a fault, and expects all of them to be stored. `end` waits for its effect first.
 * All devices are known before: a look-up of states is not retried.
 */
async function through(
  fixture: FaultyFixture,
  fault: { readonly begin: () => Promise<void>; readonly end: () => Promise<void> },
): Promise<void> {
  await fixture.feed(50);
  await fixture.expectFedStored();
  const before = await stored(fixture);
  await fixture.feed(500);
  await eventually(async () => (await stored(fixture)) > before, { intervalMs: 1, timeoutMs: 60_000 });
  await fault.begin();
  await fixture.feed(500);
  await fault.end();
  await fixture.feed(500);
  await fixture.expectFedStored();
}

async function retries(processor: RunningProcessor, errorClass?: string): Promise<number> {
  const labels = errorClass === undefined ? {} : { class: errorClass };
  return (await processor.metrics('processor_write_retries_total', labels)) ?? 0;
}

/** Expects it to be alive and not ready because of Postgres. */
async function expectWaiting(processor: RunningProcessor): Promise<void> {
  await eventually(async () =>
    /a batch waits for Postgres|Postgres does not answer/u.test((await processor.readyz()).body),
  );
  expect((await processor.healthz()).status).toBe(200);
}

/** Terminates the processor's backends; returns how many. */
async function terminate({ sql }: FaultyFixture): Promise<number> {
  const ended = await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'processor%'`;
  return ended.length;
}

async function probeConnections({ sql }: FaultyFixture): Promise<number | undefined> {
  const [row] = await sql<{ connections: number }[]>`
    select count(*)::int as connections from pg_stat_activity
    where datname = current_database() and application_name like 'processor%:health'`;
  return row?.connections;
}

describe.concurrent('Postgres', { timeout: 90_000 }, () => {
  test('stopped, then killed, and started again each time: everything is stored once', async () => {
    await using postgres = await startOwnPostgres({ migrate });
    await using fixture = await openFaultyFixture(postgres.url);
    const processor = await fixture.start({ env });
    for (const end of [() => postgres.stop(), () => postgres.kill()]) {
      await processor.untilReady();
      await through(fixture, {
        begin: end,
        end: async () => {
          await eventually(async () => (await retries(processor)) >= 1, { timeoutMs: 60_000 });
          await expectWaiting(processor);
          await postgres.start();
        },
      });
    }
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('with every backend terminated repeatedly, at any moment: inserts are retried on new connections', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    let ended = 0;
    await through(fixture, {
      begin: async () => undefined,
      end: async () => {
        // New connections too, as soon as they are open.
        await eventually(
          async () => {
            ended += await terminate(fixture);
            return ended >= 20;
          },
          { timeoutMs: 30_000, intervalMs: 1 },
        );
      },
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('with the table locked for longer than the deadline: alive and not ready, then everything is stored', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    let lock: Awaited<ReturnType<typeof lockPositions>>;
    await through(fixture, {
      begin: async () => {
        lock = await lockPositions(fixture);
      },
      end: async () => {
        // By the server's statement timeout, or by the deadline where the machine is busy; the batch is halved each time.
        await eventually(async () => (await retries(processor)) >= 2, { timeoutMs: 60_000 });
        await expectWaiting(processor);
        await lock.release();
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('frozen for longer than the deadline: its connections are replaced, and new ones work', async () => {
    await using postgres = await startOwnPostgres({ migrate });
    await using fixture = await openFaultyFixture(postgres.url);
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await through(fixture, {
      begin: async () => postgres.pause(),
      end: async () => {
        await eventually(async () => (await retries(processor, 'deadline')) >= 1, { timeoutMs: 60_000 });
        await expectWaiting(processor);
        postgres.resume();
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('black-holed on present connections: a new client works', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await through(fixture, {
      begin: async () => fixture.toPostgres.halfOpen(),
      end: async () => {
        await eventually(async () => (await retries(processor, 'deadline')) >= 1, { timeoutMs: 60_000 });
        // The server keeps the lost connection of the readiness probe; a second one means that it was replaced.
        await eventually(async () => (await probeConnections(fixture)) === 2, { timeoutMs: 60_000 });
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('black-holed for every connection: inserts are retried until it answers', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await through(fixture, {
      begin: async () => fixture.toPostgres.swallow(),
      end: async () => {
        await eventually(async () => (await retries(processor, 'deadline')) >= 1, { timeoutMs: 60_000 });
        await expectWaiting(processor);
        await fixture.toPostgres.heal();
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('unreachable at start-up: the processor waits for it and reads nothing before', async () => {
    await using fixture = await openFaultyFixture();
    await fixture.toPostgres.refuse();
    const processor = await fixture.start({ env });
    await processor.logged(/^postgres: not reachable/u);
    await fixture.feed(100);
    await expectWaiting(processor);
    expect(await fixture.redis.xinfo('GROUPS', fixture.stream)).toEqual([]);
    await fixture.toPostgres.heal();
    await fixture.expectFedStored();
  });

  test('read-only, as after a failover: inserts are retried on new connections until one may write', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env: { ...env, WRITE_CONCURRENCY: '1' } });
    await processor.untilReady();
    const [database] = await fixture.sql<{ name: string }[]>`select current_database() as name`;
    const name = fixture.sql(database?.name ?? '');
    await through(fixture, {
      begin: async () => {
        await fixture.sql`alter database ${name} set default_transaction_read_only = on`;
        await terminate(fixture);
      },
      end: async () => {
        await eventually(async () => (await retries(processor, '25')) >= 2, { timeoutMs: 60_000 });
        await expectWaiting(processor);
        // Connections opened meanwhile stay read-only, so the processor has to replace them.
        await fixture.sql`alter database ${name} reset default_transaction_read_only`;
      },
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('with its disk full: inserts are retried until there is space', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await through(fixture, {
      begin: () => refuseRows(fixture.sql, '*', '53100'),
      end: async () => {
        await eventually(async () => (await retries(processor, '53')) >= 3, { timeoutMs: 60_000 });
        await expectWaiting(processor);
        await acceptRows(fixture.sql, '*');
      },
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('that refuses a row of every class in a batch of 1,000: they are dead-lettered with SQLSTATE, the rest is stored', async () => {
    await using fixture = await openFaultyFixture();
    const states = ['22003', '22P05', '23502', '23503', '23514'];
    const batch = [...records(1000)];
    for (const [n, state] of states.entries()) {
      await refuseRows(fixture.sql, `bad${state}`, state);
      batch[n * 199 + 3] = record({ deviceId: `bad${state}` });
    }
    // First reads are small, since the size of entries is unknown.
    const processor = await fixture.start();
    const first = await send(fixture.redis, fixture.stream, records(1000, { from: 5000 }));
    await eventually(async () => (await stored(fixture)) === 1000, { timeoutMs: 60_000 });
    processor.kill('SIGSTOP');
    const sent = await send(fixture.redis, fixture.stream, batch);
    processor.kill('SIGCONT');
    const deadLettered = new Map(states.map((_, n) => [sent[n * 199 + 3]?.id ?? '', 'row_refused']));
    await fixture.expectStored([...first, ...sent], { deadLettered });
    await eventually(() =>
      processor.lines.some(({ entries, rejected }) => entries === 1000 && rejected === 5),
    );
    expect(await processor.metrics('processor_position_writes_total', { status: 'rejected' })).toBe(5);
    expect(await processor.metrics('processor_dead_letters_total', { reason: 'row_refused' })).toBe(5);
  });
});
