import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openWorld } from './support/open-world.ts';
import { cleanExit } from './support/start-processor.ts';
import { records, send } from './support/telemetry.ts';

async function openServers() {
  const redis = await startRedis();
  const database = await startPostgres();
  const world = openWorld({ redisUrl: redis.url, postgresUrl: database.url, keyPrefix: redis.keyPrefix });
  onTestFinished(async () => {
    await world[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });
  return world;
}

// The procedures of docs/operations.md.
describe('runbook', () => {
  test('setting the group back stores what a restored backup lacks', async () => {
    const world = await openServers();
    const sent = await send(world.redis, world.stream, records(300));
    const before = await world.start();
    await world.expectStored(sent);
    expect(await before.stop()).toEqual(cleanExit);

    // The backup lacks the last hundred; the operator sets the group back further, for safety.
    const missing = sent.slice(200).flatMap(({ position }) => position ?? []);
    for (const { deviceId, fixAtMs } of missing) {
      await world.sql`delete from positions where device_id = ${deviceId} and ts = ${new Date(fixAtMs)}`;
    }
    expect(await world.sql`select from positions`).toHaveLength(200);
    await world.redis.xgroup('SETID', world.stream, 'processor', sent[149]?.id ?? '');

    const after = await world.start();
    await world.expectStored(sent);
    expect(await after.metrics('processor_position_writes_total', { status: 'inserted' })).toBe(100);
    expect(await after.metrics('processor_position_writes_total', { status: 'duplicate' })).toBe(50);
    expect(await after.metrics('processor_entries_lost_total')).toBe(0);
    expect(await after.stop()).toEqual(cleanExit);
  });

  test('a second processor stores a copy of a trimmed stream', async () => {
    const world = await openServers();
    const sent = [...(await send(world.redis, world.stream, records(100)))];
    const first = await world.start();
    await world.expectStored(sent);
    expect(await first.stop()).toEqual(cleanExit);

    // No processor runs; before the producer trims the stream, it is copied with its group.
    sent.push(...(await send(world.redis, world.stream, records(100, { from: 100 }))));
    const saved = `${world.stream}:saved`;
    await world.redis.copy(world.stream, saved);
    await world.redis.xtrim(world.stream, 'MAXLEN', 0);
    const rescue = await world.start({ stream: saved });
    await rescue.logged(/^ops listening$/u);
    await expect
      .poll(async () => (await world.sql`select from positions`).length, { timeout: 20_000 })
      .toBe(sent.length);
    expect(await rescue.metrics('processor_position_writes_total', { status: 'duplicate' })).toBe(0);
    expect(await rescue.stop()).toEqual(cleanExit);
  });
});
