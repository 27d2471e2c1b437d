import { connectRedis, closeRedis } from '@app/runtime/redis';
import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { observe } from '../support/observed.ts';
import { records, send } from '../support/telemetry.ts';
import { EntryAcks } from '../../src/stream/ack-entries.ts';

const never = new AbortController().signal;
const own = await startOwnRedis();
const admin = new Redis(own.url);
await admin.call('ACL', 'SETUSER', 'noacks', 'on', 'nopass', '~*', '&*', '+@all', '-xack');

afterAll(async () => {
  admin.disconnect();
  await own[Symbol.asyncDispose]();
});

/** `count` entries read and not acknowledged, and an EntryAcks whose user may not (yet) acknowledge. */
async function unacked(stream: string, count: number, permanentErrorLimitMs?: number) {
  await admin.call('ACL', 'SETUSER', 'noacks', '-xack');
  const sent = await send(admin, stream, records(count));
  await admin.xgroup('CREATE', stream, 'processor', '0');
  await admin.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', stream, '>');
  const seen = observe();
  const redis = connectRedis(own.url.replace('//', '//noacks:x@'), { name: 'acks', log: seen.log });
  let retries = 0;
  const onRetry = (): void => {
    retries += 1;
  };
  const target = { stream, group: 'processor' };
  const acks = new EntryAcks(redis, target, seen.metrics, seen.log, onRetry, permanentErrorLimitMs);
  return {
    ...seen,
    acks,
    ids: sent.map(({ id }) => id),
    retries: () => retries,
    pending: async () => Number((await admin.xpending(stream, 'processor'))[0]),
    allow: () => admin.call('ACL', 'SETUSER', 'noacks', '+xack'),
    [Symbol.asyncDispose]: () => closeRedis(redis),
  };
}

test('acknowledged entries leave the pending list', async () => {
  await using at = await unacked('acks:answered', 2500);
  await at.allow();
  at.acks.add(at.ids, never);
  expect(at.acks.unackedIds.size).toBe(2500);
  await at.acks.flush(0);
  expect(at.acks.unackedIds.size).toBe(0);
  expect(await at.pending()).toBe(0);
  expect(await at.metric('processor_acks_total')).toBe(2500);
});

test('an acknowledgement is retried until Redis has answered', async () => {
  await using at = await unacked('acks:failing', 3);
  at.acks.add(at.ids.slice(0, 2), never);
  await eventually(() => at.retries() >= 3);
  expect(at.acks.unackedIds).toEqual(new Set(at.ids.slice(0, 2)));
  expect(await at.pending()).toBe(3);
  expect(await at.metric('processor_acks_total')).toBe(0);
  // What comes meanwhile waits with it.
  at.acks.add(at.ids.slice(2), never);
  expect(at.acks.unackedIds.size).toBe(3);
  await at.allow();
  await at.acks.flush(0);
  expect(await at.pending()).toBe(0);
  expect(await at.metric('processor_acks_total')).toBe(3);
});

test('flush resolves once at most N acknowledgements remain', async () => {
  await using at = await unacked('acks:flush', 2);
  at.acks.add(at.ids, never);
  await at.acks.flush(2);
  const flushed = at.acks.flush(1).then(() => 'flushed');
  await eventually(() => at.retries() >= 1);
  expect(await Promise.race([flushed, admin.ping()])).toBe('PONG');
  await at.allow();
  expect(await flushed).toBe('flushed');
});

test('abandoned acknowledgements reject with the reason, and their entries stay pending', async () => {
  await using at = await unacked('acks:abandoned', 2);
  const abandon = new AbortController();
  at.acks.add(at.ids, abandon.signal);
  const abandoned = eventually(() => at.retries() >= 1).then(() => abandon.abort(new Error('enough')));
  await expect(at.acks.flush(0)).rejects.toThrow('enough');
  await abandoned;
  expect(await at.pending()).toBe(2);
  expect(at.acks.unackedIds.size).toBe(2);
  // Nothing is sent once all is abandoned.
  await at.allow();
  at.acks.add([], abandon.signal);
  expect(await at.pending()).toBe(2);
});

test('concurrent batches are acknowledged, each id once', async () => {
  await using at = await unacked('acks:many', 1000);
  await at.allow();
  for (let n = 0; n < 1000; n += 10) at.acks.add(at.ids.slice(n, n + 10), never);
  await at.acks.flush(0);
  expect(await at.pending()).toBe(0);
  expect(await at.metric('processor_acks_total')).toBe(1000);
  // A later one finds a flush that has ended, and starts the next.
  await admin.xadd('acks:many', '999999999999999-0', 'a', 'b');
  await admin.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', 'acks:many', '>');
  at.acks.add(['999999999999999-0'], never);
  await at.acks.flush(0);
  expect(await at.pending()).toBe(0);
});

test('acknowledgements that Redis keeps refusing fail with what to grant, and their entries stay pending', async () => {
  await using at = await unacked('acks:refused', 2, 0);
  at.acks.add(at.ids, never);
  await expect(at.acks.flush(0)).rejects.toThrow(
    /^Redis refuses XACK acks:refused: the user of REDIS_URL lacks the right \(NOPERM\); grant it/u,
  );
  expect(at.acks.failed.aborted).toBe(true);
  await expect(at.acks.flush(2)).rejects.toThrow('Redis refuses XACK');
  // Nothing is sent afterwards: the process ends.
  await at.allow();
  at.acks.add([], never);
  expect(await at.pending()).toBe(2);
});
