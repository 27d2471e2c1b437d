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
 * Sends entries and waits until some of them are stored; begins a fault, sends more, waits for what shows it and ends
 * it; sends the last, and proves that all are stored.
 */
async function through(
  fixture: FaultyFixture,
  fault: { readonly begin: () => Promise<void>; readonly end: () => Promise<void> },
): Promise<void> {
  const before = await stored(fixture);
  await fixture.feed(500);
  await eventually(async () => (await stored(fixture)) > before, { intervalMs: 1, timeoutMs: 15_000 });
  await fault.begin();
  await fixture.feed(500);
  await fault.end();
  await fixture.feed(500);
  await fixture.expectFedStored();
}

async function retries(processor: RunningProcessor, of?: string): Promise<number> {
  const labels = of === undefined ? {} : { class: of };
  return (await processor.metrics('processor_write_retries_total', labels)) ?? 0;
}

/** It waits as it should: alive, not ready, and it says why. */
async function expectWaiting(processor: RunningProcessor): Promise<void> {
  await eventually(async () => (await processor.readyz()).status === 503);
  expect((await processor.readyz()).body).toMatch(/a batch waits for Postgres|Postgres does not answer/u);
  expect((await processor.healthz()).status).toBe(200);
}

/** Ends the processor's connections as an administrator does. */
async function terminate({ sql }: FaultyFixture): Promise<number> {
  const ended = await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'processor%'`;
  return ended.length;
}

describe.concurrent('Postgres', { timeout: 90_000 }, () => {
  test('stopped, then killed, and started again each time: all is stored, once', async () => {
    await using postgres = await startOwnPostgres({ migrate });
    await using fixture = await openFaultyFixture(postgres.url);
    const processor = await fixture.start({ env });
    for (const end of [() => postgres.stop(), () => postgres.kill()]) {
      await processor.untilReady();
      await through(fixture, {
        begin: end,
        end: async () => {
          await eventually(async () => (await retries(processor)) >= 1, { timeoutMs: 15_000 });
          await expectWaiting(processor);
          await postgres.start();
        },
      });
    }
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('with every backend terminated, again and again, in whatever moment: retried on new connections', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    let ended = 0;
    await through(fixture, {
      begin: async () => undefined,
      end: async () => {
        // New connections too, from their very first moment on.
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

  test('with the table locked for longer than the deadline: not ready, alive, and all stored afterwards', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    let lock: Awaited<ReturnType<typeof lockPositions>>;
    await through(fixture, {
      begin: async () => {
        lock = await lockPositions(fixture);
      },
      end: async () => {
        // The server's own time limit comes first; the batch is halved at each miss.
        await eventually(async () => (await retries(processor, '57')) >= 2, { timeoutMs: 15_000 });
        await expectWaiting(processor);
        await lock.release();
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('frozen for longer than the deadline: the connections are replaced, and the new ones work', async () => {
    await using postgres = await startOwnPostgres({ migrate });
    await using fixture = await openFaultyFixture(postgres.url);
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await through(fixture, {
      begin: async () => postgres.pause(),
      end: async () => {
        await eventually(async () => (await retries(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
        await expectWaiting(processor);
        postgres.resume();
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('black-holed on the present connections: a new client works at once', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await through(fixture, {
      begin: async () => fixture.toPostgres.halfOpen(),
      end: async () => {
        await eventually(async () => (await retries(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
      },
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('black-holed for every connection: waited for until it answers', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await through(fixture, {
      begin: async () => fixture.toPostgres.swallow(),
      end: async () => {
        await eventually(async () => (await retries(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
        await expectWaiting(processor);
        await fixture.toPostgres.heal();
      },
    });
    await processor.untilReady();
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('out of reach when the processor starts: waited for, and nothing is read before', async () => {
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

  test('read-only, as after a failover: retried, on new connections, until there is one that may write', async () => {
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
        await eventually(async () => (await retries(processor, '25')) >= 2, { timeoutMs: 15_000 });
        await expectWaiting(processor);
        // The connections made meanwhile stay read-only for ever: the processor has to leave them.
        await fixture.sql`alter database ${name} reset default_transaction_read_only`;
      },
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('with its disk full: retried until there is room', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await through(fixture, {
      begin: () => refuseRows(fixture.sql, '*', '53100'),
      end: async () => {
        await eventually(async () => (await retries(processor, '53')) >= 3, { timeoutMs: 15_000 });
        await expectWaiting(processor);
        await acceptRows(fixture.sql, '*');
      },
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('that refuses rows of every class, one each in a batch of 1,000: parked with its SQLSTATE, the rest stored', async () => {
    await using fixture = await openFaultyFixture();
    const states = ['22003', '22P05', '23502', '23503', '23514'];
    const batch = [...records(1000)];
    for (const [n, state] of states.entries()) {
      await refuseRows(fixture.sql, `bad${state}`, state);
      batch[n * 199 + 3] = record({ deviceId: `bad${state}` });
    }
    // Its first reads are small: it does not know yet how large entries are.
    const processor = await fixture.start();
    const first = await send(fixture.redis, fixture.stream, records(1000, { from: 5000 }));
    await eventually(async () => (await stored(fixture)) === 1000, { timeoutMs: 15_000 });
    processor.kill('SIGSTOP');
    const sent = await send(fixture.redis, fixture.stream, batch);
    processor.kill('SIGCONT');
    const parked = new Map(states.map((_, n) => [sent[n * 199 + 3]?.id ?? '', 'row_refused']));
    await fixture.expectStored([...first, ...sent], { parked });
    await eventually(() =>
      processor.lines.some(({ entries, rejected }) => entries === 1000 && rejected === 5),
    );
    expect(await processor.metrics('processor_position_writes_total', { status: 'rejected' })).toBe(5);
    expect(await processor.metrics('processor_dead_letters_total', { reason: 'row_refused' })).toBe(5);
  });
});
