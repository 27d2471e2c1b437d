import { randomUUID } from 'node:crypto';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { noteEnd, readStored, type StoredCursor } from '../../../src/domain/evaluator/read-stored.ts';
import { encodeStoredFix, fixesField, storedStream } from '../../../src/domain/stored-fixes.ts';
import { fix } from '../../support/fixes.ts';

const server = await startRedis();
const redis = new Redis(server.url);
let eventId = '';

beforeEach(() => {
  eventId = randomUUID();
});

afterAll(async () => {
  redis.disconnect();
  await server[Symbol.asyncDispose]();
});

async function append(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await redis.xadd(storedStream(eventId), '*', fixesField, `[${encodeStoredFix(fix(), false)}]`);
  }
  await redis.expire(storedStream(eventId), 60);
}

/** Reads to the end; returns the number of entries, or `gap`. */
async function readAll(from: StoredCursor, perRead = 2): Promise<number | 'gap'> {
  let cursor = from;
  for (let count = 0; ;) {
    const read = await readStored(redis, eventId, cursor, perRead);
    if (read === 'gap') return 'gap';
    count += read.entries.length;
    if (read.entries.length < perRead) return count;
    ({ cursor } = read);
  }
}

test('what was appended since is read, from a stream that did not exist, an empty one, and its last entry', async () => {
  const missing = await noteEnd(redis, eventId);
  await append(5);
  expect(await readAll(missing)).toBe(5);
  const last = await noteEnd(redis, eventId);
  await append(3);
  expect(await readAll(last)).toBe(3);
  await redis.xtrim(storedStream(eventId), 'MAXLEN', 0);
  const empty = await noteEnd(redis, eventId);
  expect(await readAll(empty)).toBe(0);
  await append(4);
  expect(await readAll(empty)).toBe(4);
});

test('a fix comes as it was stored', async () => {
  const from = await noteEnd(redis, eventId);
  const attributes = { '182': 9, '239': 1 };
  const stored = fix({ speedKmh: 42.3, courseDeg: 90, satellites: 9, priority: 1, attributes });
  await redis.xadd(storedStream(eventId), '*', fixesField, `[${encodeStoredFix(stored, true)}]`);
  const { deviceId, fixAtMs, latitude, longitude } = stored.position;
  expect(await readStored(redis, eventId, from, 10)).toMatchObject({
    entries: [{ fixes: [[deviceId, fixAtMs, latitude, longitude, 42.3, 90, 9, 0.9, 1, 0, 1]] }],
  });
  await redis.del(storedStream(eventId));
});

test.each([
  ['trimmed beyond the entry read last', () => redis.xtrim(storedStream(eventId), 'MAXLEN', 1)],
  ['emptied', () => redis.xtrim(storedStream(eventId), 'MAXLEN', 0)],
  ['deleted', () => redis.del(storedStream(eventId))],
  [
    'deleted and begun again',
    async () => {
      await redis.del(storedStream(eventId));
      await append(1);
    },
  ],
])('a stream that was %s has a gap', async (_what, lose) => {
  await append(2);
  const last = await noteEnd(redis, eventId);
  await append(3);
  await lose();
  expect(await readAll(last)).toBe('gap');
});

test('a stream that was empty and then trimmed unread has a gap', async () => {
  const missing = await noteEnd(redis, eventId);
  await append(3);
  await redis.xtrim(storedStream(eventId), 'MAXLEN', 1);
  expect(await readAll(missing)).toBe('gap');
  await redis.xtrim(storedStream(eventId), 'MAXLEN', 0);
  const empty = await noteEnd(redis, eventId);
  await append(3);
  await redis.xtrim(storedStream(eventId), 'MAXLEN', 1);
  expect(await readAll(empty)).toBe('gap');
});

test('an entry that cannot be read is a gap', async () => {
  const from = await noteEnd(redis, eventId);
  await redis.xadd(storedStream(eventId), '*', fixesField, '[["a device"]]');
  expect(await readAll(from)).toBe('gap');
  await redis.del(storedStream(eventId));
});
