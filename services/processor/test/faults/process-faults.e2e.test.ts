import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { failedAttemptsKey } from '../../src/pipeline/quarantine.ts';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { lockPositions, openFaultyFixture, pending, stored } from '../support/open-faulty-fixture.ts';
import { acceptRows, refuseRows } from '../support/refuse-rows.ts';
import { cleanExit, type ProcessorOptions, type RunningProcessor } from '../support/start-processor.ts';
import { record, records, send } from '../support/telemetry.ts';

function named(instance: string, env: Readonly<Record<string, string>> = {}): Partial<ProcessorOptions> {
  return { env: { INSTANCE_ID: instance, ...env } };
}

// A process takes a second to start, and up to ten start at once.
describe.concurrent('process faults', { timeout: 90_000 }, () => {
  test('after a kill between insert and acknowledgement the batch is redelivered and nothing is stored twice', async () => {
    await using fixture = await openFaultyFixture();
    await fixture.redis.call('ACL', 'SETUSER', 'noacks', 'on', 'nopass', '~*', '&*', '+@all', '-xack');
    const sent = await send(fixture.redis, fixture.stream, records(500));
    const killed = await fixture.start({ redisUrl: fixture.redisUrl.replace('//', '//noacks:x@') });
    await eventually(async () => (await stored(fixture)) === 500, { timeoutMs: 15_000 });
    await killed.logged(/^acknowledgement failed/u);
    await killed.crash();
    expect(await pending(fixture)).toBe(500);

    const next = await fixture.start();
    await fixture.expectStored(sent);
    expect(await next.metrics('processor_position_writes_total', { status: 'duplicate' })).toBe(500);
    expect(await next.metrics('processor_position_writes_total', { status: 'inserted' })).toBe(0);
  });

  test('another replica claims the entries of a frozen processor, which does no harm when it resumes', async () => {
    await using fixture = await openFaultyFixture();
    const frozen = await fixture.start(named('frozen', { WRITE_TIMEOUT_MS: '10000' }));
    const lock = await lockPositions(fixture);
    const first = await send(fixture.redis, fixture.stream, records(50));
    await eventually(async () => (await pending(fixture, 'frozen')) === 50);
    frozen.kill('SIGSTOP');
    await lock.release();

    const other = await fixture.start(named('other'));
    await fixture.expectStored(first);
    expect(await other.metrics('processor_entries_claimed_total')).toBe(50);
    frozen.kill('SIGCONT');
    await frozen.logged(/^batch done$/u);
    const second = await send(fixture.redis, fixture.stream, records(50, { from: 50 }));
    await fixture.expectStored([...first, ...second]);
    expect(await Promise.all([frozen.stop(), other.stop()])).toEqual([cleanExit, cleanExit]);
  });

  test('after a kill under load the other replica processes the pending entries', async () => {
    await using fixture = await openFaultyFixture();
    // Small batches, so that both have entries pending at any time.
    const env = { BATCH_SIZE: '20', WRITE_BATCH_SIZE: '20', WRITE_TIMEOUT_MS: '5000' };
    const killed = await fixture.start(named('killed', env));
    const other = await fixture.start(named('other', env));
    await Promise.all([killed.untilReady(), other.untilReady()]);
    const sent = [...(await send(fixture.redis, fixture.stream, records(1000)))];
    await eventually(async () => (await stored(fixture)) > 0, { intervalMs: 1 });
    const lock = await lockPositions(fixture);
    sent.push(...(await send(fixture.redis, fixture.stream, records(1000, { from: 1000 }))));
    await eventually(
      async () => (await pending(fixture, 'killed')) > 0 && (await pending(fixture, 'other')) > 0,
    );
    await killed.crash();
    // After the crash: an acknowledgement may have been on its way.
    const left = await pending(fixture, 'killed');
    await lock.release();
    sent.push(...(await send(fixture.redis, fixture.stream, records(1000, { from: 2000 }))));
    await fixture.expectStored(sent);
    expect(await other.metrics('processor_entries_claimed_total')).toBeGreaterThanOrEqual(left);
  });

  test('after a stop under load nothing is pending and nothing is delivered twice', async () => {
    await using fixture = await openFaultyFixture();
    // Without claims: on a slow machine a process would be delivered its own entries again.
    const env = { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50', CLAIM_IDLE_MS: '60000' };
    const first = await fixture.start({ env });
    const sent = [...(await send(fixture.redis, fixture.stream, records(3000)))];
    await eventually(async () => (await stored(fixture)) > 0, { intervalMs: 1 });
    expect(await first.stop()).toEqual(cleanExit);
    expect(await pending(fixture)).toBe(0);
    const done = first.lines.filter(({ msg }) => msg === 'batch done');
    const delivered = done.reduce((sum, { entries }) => sum + Number(entries), 0);
    expect(delivered).toBe(await stored(fixture));

    sent.push(...(await send(fixture.redis, fixture.stream, records(10, { from: 3000 }))));
    const second = await fixture.start({ env });
    await fixture.expectStored(sent);
    expect(await second.metrics('processor_consumer_records_total')).toBe(3010 - delivered);
  });

  test('when one stream is broken the others are still read', async () => {
    await using fixture = await openFaultyFixture();
    const [one, two] = [`${fixture.stream}:{00}`, `${fixture.stream}:{01}`];
    const processor = await fixture.start({ stream: `${one},${two}` });
    await send(fixture.redis, one, records(100));
    await send(fixture.redis, two, records(100, { from: 100 }));
    await eventually(async () => (await stored(fixture)) === 200, { timeoutMs: 15_000 });

    await fixture.redis.set(two, 'no stream');
    await eventually(async () => {
      const failed = await processor.metrics('processor_consumer_reads_total', { result: 'error' });
      return (failed ?? 0) >= 2;
    });
    await send(fixture.redis, one, records(100, { from: 200 }));
    await eventually(async () => (await stored(fixture)) === 300);
    await fixture.redis.del(two);
    await send(fixture.redis, two, records(100, { from: 300 }));
    await eventually(async () => (await stored(fixture)) === 400, { timeoutMs: 15_000 });
    for (const stream of [one, two]) {
      await eventually(async () => (await pending({ ...fixture, stream })) === 0);
      await eventually(async () => (await processor.metrics('processor_consumer_pending', { stream })) === 0);
    }
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('with an invalid setting the processor names it and exits with 78', async () => {
    await using fixture = await openFaultyFixture();
    const start = fixture.start({ stream: '', env: { WRITE_CONCURRENCY: 'many' } });
    await expect(start).rejects.toThrow('REDIS_TELEMETRY_STREAM is not set');
    await expect(start).rejects.toThrow('WRITE_CONCURRENCY must be a whole number, from 1 to 32');
    await expect(start).rejects.toThrow('processor ended with exit code 78');
  });

  test('an idle processor stops with exit code 0 without waiting for its blocking read', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env: { BATCH_BLOCK_MS: '60000' } });
    await processor.untilReady();
    await eventually(async () => String(await fixture.redis.client('LIST')).includes(':reader '));
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('a second SIGTERM ends the processor at once with the code of the signal', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env: { WRITE_TIMEOUT_MS: '60000', DRAIN_TIMEOUT_MS: '60000' } });
    const lock = await lockPositions(fixture);
    const sent = await send(fixture.redis, fixture.stream, records(10));
    await eventually(async () => (await pending(fixture)) === 10);
    processor.kill('SIGTERM');
    await processor.logged(/^stopping$/u);
    expect((await processor.readyz()).body).toContain('stopping');
    processor.kill('SIGTERM');
    expect(await processor.exited).toEqual({ code: 143, signal: null });
    await lock.release();
    await fixture.start();
    await fixture.expectStored(sent);
  });

  test('a stopped processor that cannot write exits non-zero after DRAIN_TIMEOUT_MS and loses nothing', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env: { DRAIN_TIMEOUT_MS: '300' } });
    await refuseRows(fixture.sql, '*', '57P03');
    const sent = await send(fixture.redis, fixture.stream, records(100));
    await processor.logged(/^insert failed; retrying/u);
    expect(await processor.stop()).toEqual({ code: 1, signal: null });
    expect(processor.lines.at(-1)).toMatchObject({
      level: 'fatal',
      error: { message: expect.stringContaining('300 ms') },
    });
    expect(await pending(fixture)).toBe(100);
    await acceptRows(fixture.sql, '*');
    await fixture.start();
    await fixture.expectStored(sent);
  });

  test('after a fatal error the processor exits non-zero and dead-letters nothing; restarted without the cause it stores everything', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start();
    await processor.untilReady();
    await fixture.sql`alter table positions rename to moved`;
    const sent = await send(fixture.redis, fixture.stream, records(200));
    expect(await processor.exited).toEqual({ code: 1, signal: null });
    expect(processor.lines.at(-1)).toMatchObject({ level: 'fatal', error: { cause: { code: '42P01' } } });
    expect(await readDeadLetters(fixture.redis, fixture.stream)).toEqual([]);
    await fixture.sql`alter table moved rename to positions`;
    await fixture.start();
    await fixture.expectStored(sent);
  });

  test('ten restarts in an outage dead-letter nothing, whatever the delivery counts', async () => {
    await using fixture = await openFaultyFixture();
    const env = { MAX_DELIVERIES: '2', DRAIN_TIMEOUT_MS: '100' };
    await refuseRows(fixture.sql, '*', '53100');
    const sent = await send(fixture.redis, fixture.stream, records(300));
    for (let restart = 0; restart < 10; restart += 1) {
      await using processor = await fixture.start({ env });
      await processor.logged(/^insert failed; retrying/u);
      // SIGKILL and SIGTERM in turn.
      if (restart % 2 === 0) await processor.crash();
      else await processor.stop();
    }
    // The first read after a start is small, and no more is read while inserts fail: not all entries are quarantined.
    const left = await fixture.redis.xpending(fixture.stream, 'processor', '-', '+', sent.length);
    const deliveries = left.map((row) => (Array.isArray(row) ? Number(row[3]) : 0));
    expect(deliveries.filter((count) => count > 2).length).toBeGreaterThan(50);
    await acceptRows(fixture.sql, '*');
    const processor = await fixture.start({ env });
    await fixture.expectStored(sent);
    expect(await processor.metrics('processor_dead_letters_total')).toBeUndefined();
  });

  test('repeated kills while a quarantined entry waits for a lock do not dead-letter the entry', async () => {
    await using fixture = await openFaultyFixture();
    const env = { MAX_DELIVERIES: '1', WRITE_TIMEOUT_MS: '60000' };
    const sent = await send(fixture.redis, fixture.stream, records(2));
    await fixture.redis.xgroup('CREATE', fixture.stream, 'processor', '0');
    await fixture.redis.xreadgroup('GROUP', 'processor', 'processor-1', 'STREAMS', fixture.stream, '>');
    const lock = await lockPositions(fixture);
    const attempts = (): Promise<number> => fixture.redis.hlen(failedAttemptsKey(fixture.stream));
    for (let kill = 0; kill < 3; kill += 1) {
      await using processor = await fixture.start({ env });
      await eventually(async () => (await attempts()) === 1);
      await eventually(async () => (await attempts()) === 0);
      await processor.crash();
    }
    await lock.release();
    const processor = await fixture.start({ env });
    await fixture.expectStored(sent);
    expect(await processor.metrics('processor_acks_total')).toBe(2);
  });

  test('an entry that crashes the processor is dead-lettered alone, and the rest is stored', async () => {
    await using fixture = await openFaultyFixture();
    const fatal = record({ deviceId: 'DEADLY' });
    const sent = await send(fixture.redis, fixture.stream, [
      ...records(60),
      fatal,
      ...records(60, { from: 60 }),
    ]);
    const deadLettered = new Map([[sent[60]?.id ?? '', 'ended_process']]);
    const env = { MAX_DELIVERIES: '2', CRASH_ON: 'DEADLY' };
    const preload = new URL('../support/crash-on-row.ts', import.meta.url);
    let crashes = 0;
    for (;;) {
      const processor: RunningProcessor = await fixture.start({ env, preload });
      const finished = fixture.expectStored(sent, { deadLettered }).then(() => 'finished');
      const outcome = await Promise.race([finished, processor.exited]);
      if (outcome === 'finished') break;
      expect(outcome).toEqual({ code: null, signal: 'SIGKILL' });
      crashes += 1;
      // Two before the entry is quarantined, two while it is processed alone.
      expect(crashes).toBeLessThanOrEqual(4);
      finished.catch(() => undefined);
    }
    expect(crashes).toBe(4);
    expect(await fixture.redis.exists(failedAttemptsKey(fixture.stream))).toBe(0);
  });
});
