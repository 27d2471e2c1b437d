import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { openFaultyFixture, pending, stored, type FaultyFixture } from '../support/open-faulty-fixture.ts';
import { cleanExit, type RunningProcessor } from '../support/start-processor.ts';

/** Sends entries, waits until some of them are stored, has it happen, sends more, and proves that all are stored. */
async function underLoad(fixture: FaultyFixture, happen: () => Promise<void>): Promise<void> {
  await fixture.feed(1000);
  await eventually(async () => (await stored(fixture)) > 0, { intervalMs: 1, timeoutMs: 15_000 });
  await happen();
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

/** Small batches, so that each fault hits the loop in the middle of its work. */
const env = { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50' };

async function reads(processor: RunningProcessor, result: string): Promise<number> {
  return (await processor.metrics('processor_consumer_reads_total', { result })) ?? 0;
}

describe.concurrent('Redis', { timeout: 90_000 }, () => {
  test('stopped and started again: the loop goes on where it was', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await underLoad(fixture, async () => {
      await fixture.ownRedis.stop();
      await processor.logged(/^stream read failed/u);
      await fixture.ownRedis.start();
    });
    await processor.logged(/^reader reconnected$/u);
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('killed and started again: what it had on disk is stored, once', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await underLoad(fixture, async () => {
      await fixture.ownRedis.kill();
      await processor.logged(/^stream read failed/u);
      await fixture.ownRedis.start();
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('emptied: group and stream are made again, and what comes from then on is stored', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await fixture.feed(200);
    await fixture.expectFedStored();
    await fixture.redis.flushall();
    // The very first one after: a group made at the end of the stream would pass over it.
    await fixture.feed(200);
    await fixture.expectFedStored();
    expect(await reads(processor, 'group_missing')).toBeGreaterThanOrEqual(1);
    expect(await reads(processor, 'group_missing')).toBeLessThan(5);
  });

  test('out of reach: waited for, alive and not ready; then all is stored', async () => {
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

  test('not there yet when the processor starts: waited for', async () => {
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

  test('half-open: the old reader is killed in Redis, and what it was handed is read again', async () => {
    await using fixture = await openFaultyFixture();
    const processor = await fixture.start({ env });
    await processor.untilReady();
    await untilBlocked(fixture);
    const [oldReader = ''] = await readerIds(fixture);
    // The processor's end is gone without a word; the reader stays blocked in Redis.
    fixture.toRedis.halfOpen();
    await fixture.feed(1);
    await eventually(async () => (await pending(fixture)) === 1);
    await processor.logged(/^reader reconnected$/u);
    expect(await readerIds(fixture)).not.toContain(oldReader);
    await fixture.feed(100);
    await fixture.expectFedStored();
    expect(await reads(processor, 'deadline')).toBe(1);
  });

  test('silent for longer than BLOCK, to new connections too: the loop comes back when it answers', async () => {
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

  test('frozen for longer than BLOCK: the same', async () => {
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

  test('slow: each command takes a while, and the loop is as right as ever', async () => {
    await using fixture = await openFaultyFixture();
    fixture.toRedis.delay(30);
    const processor = await fixture.start({ env });
    await underLoad(fixture, async () => undefined);
    expect(await reads(processor, 'error')).toBe(0);
  });

  test('that fails XACK three times and more: the ids are kept, nothing is delivered twice', async () => {
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
    // Its own claims bring them again meanwhile; they owe their ack, and go no further.
    expect(await processor.metrics('processor_position_writes_total')).toBe(500);
  });

  test('cut off again and again: nothing is lost and nothing is left', async () => {
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
