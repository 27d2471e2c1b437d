import { eventually } from '@app/test-kit/eventually';
import { failSnapshots } from '@app/test-kit/fail-snapshots';
import { describe, expect, test } from 'vitest';
import { openFaultyFixture, pending, stored, type FaultyFixture } from '../support/open-faulty-fixture.ts';
import { cleanExit, type RunningProcessor } from '../support/start-processor.ts';

/** Sends entries before and after a fault, and expects all of them to be stored. */
async function underLoad(fixture: FaultyFixture, fault: () => Promise<void>): Promise<void> {
  await fixture.feed(1000);
  await eventually(async () => (await stored(fixture)) > 0, { intervalMs: 1, timeoutMs: 15_000 });
  await fault();
  await fixture.feed(1000);
  await fixture.expectFedStored();
}

async function readerIds({ redis, stream }: FaultyFixture): Promise<readonly string[]> {
  const clients = String(await redis.client('LIST')).split('\n');
  const readers = clients.filter((client) => client.includes(`:${stream}:reader `));
  return readers.map((client) => /^id=(\d+)/u.exec(client)?.[1] ?? '');
}

async function untilBlocked({ redis }: FaultyFixture): Promise<void> {
  await eventually(async () => / flags=\w*b/u.test(String(await redis.client('LIST'))));
}

/** Small batches, so that a fault interrupts the loop in the middle of its work. */
const env = { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50' };

async function reads(processor: RunningProcessor, result: string): Promise<number> {
  return (await processor.metrics('processor_consumer_reads_total', { result })) ?? 0;
}

describe.concurrent('Redis', { timeout: 90_000 }, () => {
  test('stopped and started again: the loop continues where it was', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await underLoad(fixture, async () => {
      await fixture.ownRedis.stop();
      await processor.logged(/^stream read failed/u);
      await fixture.ownRedis.start();
    });
    await processor.logged(/^stream read recovered$/u);
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('killed and started again: what Redis had on disk is stored once', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await underLoad(fixture, async () => {
      await fixture.ownRedis.kill();
      await processor.logged(/^stream read failed/u);
      await fixture.ownRedis.start();
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('emptied: stream and group are recreated, and new entries are stored', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await fixture.feed(200);
    await fixture.expectFedStored();
    await fixture.redis.flushall();
    // A group created at the end of the stream would skip these.
    await fixture.feed(200);
    await fixture.expectFedStored();
    expect(await reads(processor, 'group_missing')).toBeGreaterThanOrEqual(1);
    expect(await reads(processor, 'group_missing')).toBeLessThan(5);
  });

  test('unreachable: the process is alive and not ready, then stores everything', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await underLoad(fixture, async () => {
      await fixture.toRedis.refuse();
      fixture.toRedis.cut();
      await eventually(async () => (await processor.readyz()).status === 503);
      expect((await processor.readyz()).body).toContain('Redis is not ready');
      expect((await processor.healthz()).status).toBe(200);
      await fixture.toRedis.heal();
    });
    await processor.untilReady();
  });

  test('unreachable at start-up: the processor waits for it', async () => {
    await using fixture = await openFaultyFixture();
    await fixture.toRedis.refuse();
    const processor = await fixture.start({ env });
    await processor.logged(/^redis: not reachable/u);
    expect((await processor.readyz()).status).toBe(503);
    expect((await processor.healthz()).status).toBe(200);
    await fixture.feed(100);
    await fixture.toRedis.heal();
    await fixture.expectFedStored();
  });

  test('half-open: the old reader is killed in Redis, and what was delivered to it is read again', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await untilBlocked(fixture);
    const [oldReader = ''] = await readerIds(fixture);
    // Redis does not notice that its client is gone: the reader stays blocked there.
    fixture.toRedis.halfOpen();
    await fixture.feed(1);
    await eventually(async () => (await pending(fixture)) === 1);
    // Whichever of its commands was in flight.
    await processor.logged(/^(?:stream read|claim of idle entries) recovered$/u);
    expect(await readerIds(fixture)).not.toContain(oldReader);
    await fixture.feed(100);
    await fixture.expectFedStored();
    expect(await reads(processor, 'deadline')).toBe(1);
  });

  test('silent for longer than BLOCK, to new connections too: the loop continues when Redis answers', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await underLoad(fixture, async () => {
      fixture.toRedis.swallow();
      await eventually(async () => (await reads(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
      expect((await processor.healthz()).status).toBe(200);
      await fixture.toRedis.heal();
    });
  });

  test('frozen for longer than BLOCK: the loop continues when Redis resumes', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await underLoad(fixture, async () => {
      fixture.ownRedis.pause();
      await eventually(async () => (await reads(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
      fixture.ownRedis.resume();
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('slow: everything is stored although each command is delayed', async () => {
    await using fixture = await openFaultyFixture();
    fixture.toRedis.delay(30);
    const processor = await fixture.start({ env });
    await underLoad(fixture, async () => undefined);
    expect(await reads(processor, 'error')).toBe(0);
  });

  test('at its memory limit: the backlog is stored and acknowledged, at the start and while running', async () => {
    await using fixture = await openFaultyFixture();
    const { redis, stream } = fixture;
    await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
    await fixture.feed(2000);
    await redis.config('SET', 'maxmemory', '1');
    const processor = await fixture.start({ env });
    await fixture.expectFedStored();
    await processor.untilReady();
    await redis.config('SET', 'maxmemory', '0');
    await fixture.feed(2000);
    await redis.config('SET', 'maxmemory', '1');
    await fixture.expectFedStored();
    await processor.untilReady();
    // The lag is sampled as well.
    await eventually(async () => (await processor.metrics('processor_consumer_pending')) === 0);
    await eventually(async () => (await processor.metrics('processor_consumer_lag_seconds')) === 0);
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('that cannot save its data: not ready with the reason, at the start and while running, then all is stored', async () => {
    await using fixture = await openFaultyFixture();
    await fixture.feed(100);
    let heal = await failSnapshots(fixture.redis);
    const processor = await fixture.start({ env });
    const untilRefused = async (): Promise<void> => {
      await eventually(
        async () => {
          const { status, body } = await processor.readyz();
          expect(body).toContain(`${fixture.stream}: stream read fails: MISCONF Redis is configured`);
          return status === 503;
        },
        { timeoutMs: 20_000 },
      );
    };
    await untilRefused();
    await heal();
    await fixture.expectFedStored();
    await processor.untilReady();
    heal = await failSnapshots(fixture.redis);
    await untilRefused();
    expect((await processor.healthz()).status).toBe(200);
    await heal();
    await processor.untilReady();
    await fixture.feed(100);
    await fixture.expectFedStored();
    const failed = processor.lines.filter(({ msg }) => msg === 'stream read failed; retrying');
    const recovered = processor.lines.filter(({ msg }) => msg === 'stream read recovered');
    expect([failed.length, recovered.length]).toEqual([2, 2]);
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('that fails XACK three times and more: the ids are kept, and nothing is processed twice', async () => {
    await using fixture = await openFaultyFixture();
    await fixture.redis.call('ACL', 'SETUSER', 'noacks', 'on', 'nopass', '~*', '&*', '+@all', '-xack');
    const processor = await fixture.start({ env, redisUrl: fixture.redisUrl.replace('//', '//noacks:x@') });
    await fixture.feed(500);
    const failures = (): number =>
      processor.lines.filter(({ msg }) => msg.startsWith('acknowledgement failed')).length;
    await eventually(() => failures() >= 3, { timeoutMs: 15_000 });
    await eventually(async () => (await stored(fixture)) === 500);
    expect(await pending(fixture)).toBe(500);
    expect(await processor.metrics('processor_acks_total')).toBe(0);
    await fixture.redis.call('ACL', 'SETUSER', 'noacks', '+xack');
    await fixture.expectFedStored();
    expect(await processor.metrics('processor_acks_total')).toBe(500);
    // Claims return these entries again meanwhile; they are excluded, since their acknowledgement is unanswered.
    expect(await processor.metrics('processor_position_writes_total')).toBe(500);
  });

  test('cut off repeatedly: nothing is lost and nothing stays pending', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    for (let n = 0; n < 10; n += 1) {
      await fixture.feed(200);
      await eventually(async () => (await stored(fixture)) > n * 100, { intervalMs: 1, timeoutMs: 15_000 });
      fixture.toRedis.cut();
    }
    await fixture.expectFedStored();
    expect(await processor.stop()).toEqual(cleanExit);
  });
});
