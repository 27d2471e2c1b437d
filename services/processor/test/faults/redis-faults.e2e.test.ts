import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { ownWorld, pending, stored, type OwnWorld } from '../support/own-world.ts';
import { cleanExit, type RunningProcessor } from '../support/start-processor.ts';

/** Sends entries, waits until some of them are stored, has it happen, sends more, and proves that all are stored. */
async function underLoad(world: OwnWorld, happen: () => Promise<void>): Promise<void> {
  await world.feed(1000);
  await eventually(async () => (await stored(world)) > 0, { intervalMs: 1, timeoutMs: 15_000 });
  await happen();
  await world.feed(1000);
  await world.expectFedStored();
}

async function readerIds({ redis, stream }: OwnWorld): Promise<readonly string[]> {
  const clients = String(await redis.client('LIST')).split('\n');
  const readers = clients.filter((client) => client.includes(`:${stream}:reader `));
  return readers.map((client) => /^id=(\d+)/u.exec(client)?.[1] ?? '');
}

async function untilBlocked({ redis }: OwnWorld): Promise<void> {
  await eventually(async () => / flags=\w*b/u.test(String(await redis.client('LIST'))));
}

/** Small batches, so that each fault hits the loop in the middle of its work. */
const env = { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50' };

async function reads(processor: RunningProcessor, result: string): Promise<number> {
  return (await processor.metrics('processor_consumer_reads_total', { result })) ?? 0;
}

describe.concurrent('Redis', { timeout: 90_000 }, () => {
  test('stopped and started again: the loop goes on where it was', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await underLoad(world, async () => {
      await world.ownRedis.stop();
      await processor.logged(/^stream read failed/u);
      await world.ownRedis.start();
    });
    await processor.logged(/^reader reconnected$/u);
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('killed and started again: what it had on disk is stored, once', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await underLoad(world, async () => {
      await world.ownRedis.kill();
      await processor.logged(/^stream read failed/u);
      await world.ownRedis.start();
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('emptied: group and stream are made again, and what comes from then on is stored', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await world.feed(200);
    await world.expectFedStored();
    await world.redis.flushall();
    // The very first one after: a group made at the end of the stream would pass over it.
    await world.feed(200);
    await world.expectFedStored();
    expect(await reads(processor, 'group_missing')).toBeGreaterThanOrEqual(1);
    expect(await reads(processor, 'group_missing')).toBeLessThan(5);
  });

  test('out of reach: waited for, alive and not ready; then all is stored', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await processor.untilReady();
    await underLoad(world, async () => {
      await world.toRedis.refuse();
      world.toRedis.cut();
      await eventually(async () => (await processor.readyz()).status === 503);
      expect((await processor.readyz()).body).toContain('Redis is not ready');
      expect((await processor.healthz()).status).toBe(200);
      await world.toRedis.heal();
    });
    await processor.untilReady();
  });

  test('not there yet when the processor starts: waited for', async () => {
    await using world = await ownWorld();
    await world.toRedis.refuse();
    const processor = await world.start({ env });
    await processor.logged(/^redis: not reachable/u);
    expect((await processor.readyz()).status).toBe(503);
    expect((await processor.healthz()).status).toBe(200);
    await world.feed(100);
    await world.toRedis.heal();
    await world.expectFedStored();
  });

  test('half-open: the old reader is killed in Redis, and what it was handed is read again', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await processor.untilReady();
    await untilBlocked(world);
    const [oldReader = ''] = await readerIds(world);
    // The processor's end is gone without a word; the reader stays blocked in Redis.
    world.toRedis.halfOpen();
    await world.feed(1);
    await eventually(async () => (await pending(world)) === 1);
    await processor.logged(/^reader reconnected$/u);
    expect(await readerIds(world)).not.toContain(oldReader);
    await world.feed(100);
    await world.expectFedStored();
    expect(await reads(processor, 'deadline')).toBe(1);
  });

  test('silent for longer than BLOCK, to new connections too: the loop comes back when it answers', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await processor.untilReady();
    await underLoad(world, async () => {
      world.toRedis.swallow();
      await eventually(async () => (await reads(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
      expect((await processor.healthz()).status).toBe(200);
      await world.toRedis.heal();
    });
  });

  test('frozen for longer than BLOCK: the same', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    await processor.untilReady();
    await underLoad(world, async () => {
      world.ownRedis.pause();
      await eventually(async () => (await reads(processor, 'deadline')) >= 1, { timeoutMs: 15_000 });
      world.ownRedis.resume();
    });
    expect(await processor.stop()).toEqual(cleanExit);
  });

  test('slow: each command takes a while, and the loop is as right as ever', async () => {
    await using world = await ownWorld();
    world.toRedis.delay(30);
    const processor = await world.start({ env });
    await underLoad(world, async () => undefined);
    expect(await reads(processor, 'error')).toBe(0);
  });

  test('that fails XACK three times and more: the ids are kept, nothing is delivered twice', async () => {
    await using world = await ownWorld();
    await world.redis.call('ACL', 'SETUSER', 'noacks', 'on', 'nopass', '~*', '&*', '+@all', '-xack');
    const processor = await world.start({ env, redisUrl: world.redisUrl.replace('//', '//noacks:x@') });
    await world.feed(500);
    const failures = (): number =>
      processor.lines.filter(({ msg }) => msg.startsWith('acknowledgement failed')).length;
    await eventually(() => failures() >= 3, { timeoutMs: 15_000 });
    await eventually(async () => (await stored(world)) === 500);
    expect(await pending(world)).toBe(500);
    expect(await processor.metrics('processor_acks_total')).toBe(0);
    await world.redis.call('ACL', 'SETUSER', 'noacks', '+xack');
    await world.expectFedStored();
    expect(await processor.metrics('processor_acks_total')).toBe(500);
    // Its own claims bring them again meanwhile; they owe their ack, and go no further.
    expect(await processor.metrics('processor_position_writes_total')).toBe(500);
  });

  test('cut off again and again: nothing is lost and nothing is left', async () => {
    await using world = await ownWorld();
    const processor = await world.start({ env });
    for (let n = 0; n < 10; n += 1) {
      await world.feed(200);
      await eventually(async () => (await stored(world)) > n * 100, { intervalMs: 1, timeoutMs: 15_000 });
      world.toRedis.cut();
    }
    await world.expectFedStored();
    expect(await processor.stop()).toEqual(cleanExit);
  });
});
