import { once } from 'node:events';
import { createServer } from 'node:net';
import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { deadLetterOf, entryOf } from '../support/fixes.ts';
import { deadLetterStream } from '../../src/stream/dead-letter.ts';
import { type DeadLetterTarget, writeDeadLetters } from '../../src/stream/write-dead-letters.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

function targetOf(stream: string, options: Partial<DeadLetterTarget> = {}): DeadLetterTarget {
  return { stream, group: 'processor', consumer: 'me', maxLength: 1000, whenFull: 'wait', ...options };
}

function lettersOf(...ids: readonly string[]) {
  return ids.map((id) => deadLetterOf({ entry: entryOf(id, ['a', 'b']), reason: 'not_json', detail: '' }));
}

async function idsIn(stream: string, at = redis): Promise<readonly string[]> {
  return (await readDeadLetters(at, stream)).map(({ cause }) => cause.dlq_entry_id);
}

/** Entries that are pending for `me`. */
async function deliver(stream: string, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) await redis.xadd(stream, id, 'a', 'b');
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await redis.xreadgroup('GROUP', 'processor', 'me', 'STREAMS', stream, '>');
}

async function pendingOf(stream: string): Promise<number> {
  return Number((await redis.xpending(stream, 'processor'))[0]);
}

test('a dead letter contains the fields byte for byte and the cause', async () => {
  const stream = `${servers.keyPrefix}letters`;
  const bytes = Buffer.from([0, 255, 13, 10, 0xc3]);
  const fields = ['payload', bytes, 'payload', '', bytes, 'x', 'dlq_reason', 'not ours'];
  const first = { entry: entryOf('5-1', fields, 3), reason: 'not_utf8', detail: 'payload must be UTF-8' };
  const second = { entry: entryOf('6-0', []), reason: 'row_refused', detail: 'no', sqlState: '22003' };
  await writeDeadLetters(redis, targetOf(stream), [first, second].map(deadLetterOf));
  const letters = await readDeadLetters(redis, stream);
  expect(letters).toMatchObject([
    {
      fields: fields.map((field) => Buffer.from(field)),
      cause: {
        dlq_reason: 'not_utf8',
        dlq_detail: 'payload must be UTF-8',
        dlq_sqlstate: '',
        dlq_entry_id: '5-1',
        dlq_deliveries: '3',
        dlq_consumer: 'processor-1',
      },
    },
    { fields: [], cause: { dlq_reason: 'row_refused', dlq_sqlstate: '22003', dlq_entry_id: '6-0' } },
  ]);
  const at = Date.parse(letters[0]?.cause['dlq_at'] ?? '');
  expect(Math.abs(Date.now() - at)).toBeLessThan(60_000);
});

test('at the maximum length the rest is not written, and nothing is trimmed', async () => {
  const stream = `${servers.keyPrefix}full`;
  const target = targetOf(stream, { maxLength: 3 });
  expect(await writeDeadLetters(redis, target, lettersOf('1-0', '2-0'))).toEqual({
    outcomes: ['written', 'written'],
    trimmed: 0,
  });
  expect((await writeDeadLetters(redis, target, lettersOf('3-0', '4-0'))).outcomes).toEqual(['written']);
  expect((await writeDeadLetters(redis, target, lettersOf('4-0'))).outcomes).toEqual([]);
  expect(await idsIn(stream)).toEqual(['1-0', '2-0', '3-0']);
});

test('with `trim` the oldest are deleted at the maximum length, and counted', async () => {
  const stream = `${servers.keyPrefix}trimmed`;
  const target = targetOf(stream, { maxLength: 2, whenFull: 'trim' });
  await redis.xadd(stream, '*', 'a', 'b');
  const { outcomes, trimmed } = await writeDeadLetters(redis, target, lettersOf('1-0', '2-0', '3-0', '4-0'));
  expect([outcomes.length, trimmed]).toEqual([4, 2]);
  expect(await idsIn(stream)).toEqual(['3-0', '4-0']);
  expect(await redis.xlen(stream)).toBe(1);
});

test('a pending entry is acknowledged with its dead letter, one that another consumer has claimed is left to it', async () => {
  const stream = `${servers.keyPrefix}pending`;
  await deliver(stream, '1-0', '2-0', '3-0');
  await redis.call('XCLAIM', stream, 'processor', 'other', 0, '2-0', 'JUSTID');
  const { outcomes } = await writeDeadLetters(redis, targetOf(stream), lettersOf('1-0', '2-0', '3-0'));
  expect(outcomes).toEqual(['written', 'claimed', 'written']);
  expect(await idsIn(stream)).toEqual(['1-0', '3-0']);
  expect(await pendingOf(stream)).toBe(1);
  // Once that has acknowledged it.
  await redis.xack(stream, 'processor', '2-0');
  expect((await writeDeadLetters(redis, targetOf(stream), lettersOf('2-0'))).outcomes).toEqual(['claimed']);
  expect(await idsIn(stream)).toEqual(['1-0', '3-0']);
});

test('what was written when the reply was lost is not written again', async () => {
  const stream = `${servers.keyPrefix}lost`;
  await deliver(stream, '1-0', '2-0');
  // Of the first attempt only one was written, and nobody learnt of it.
  await writeDeadLetters(redis, targetOf(stream), lettersOf('1-0'));
  const { outcomes } = await writeDeadLetters(redis, targetOf(stream), lettersOf('1-0', '2-0'), true);
  expect(outcomes).toEqual(['written', 'written']);
  expect(await idsIn(stream)).toEqual(['1-0', '2-0']);
});

test('an entry is written although its group was recreated or is missing', async () => {
  const stream = `${servers.keyPrefix}recreated`;
  await deliver(stream, '1-0', '2-0');
  await redis.xgroup('DESTROY', stream, 'processor');
  await writeDeadLetters(redis, targetOf(stream), lettersOf('1-0'));
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await writeDeadLetters(redis, targetOf(stream), lettersOf('2-0'));
  // Emptied, and filled again beyond the entry.
  await redis.del(stream);
  await deliver(stream, '4-0');
  await writeDeadLetters(redis, targetOf(stream), lettersOf('3-0'));
  expect(await idsIn(stream)).toEqual(['1-0', '2-0', '3-0']);
});

test("an entry with more fields than Lua's stack holds is written with all of them", async () => {
  const stream = `${servers.keyPrefix}wide`;
  await deliver(stream, '1-0', '2-0');
  const fields = Array.from({ length: 9000 }, (_, n) => `f${n}`);
  const wide = deadLetterOf({ entry: entryOf('2-0', fields), reason: 'missing_field', detail: '' });
  const letters = [...lettersOf('1-0'), wide];
  const target = targetOf(stream, { maxLength: 2 });
  expect((await writeDeadLetters(redis, target, letters)).outcomes).toEqual(['written']);
  expect((await writeDeadLetters(redis, target, [wide])).outcomes).toEqual(['written']);
  expect((await writeDeadLetters(redis, target, [wide])).outcomes).toEqual([]);
  expect((await readDeadLetters(redis, stream)).map((letter) => letter.fields.length)).toEqual([2, 9000]);
  expect(await pendingOf(stream)).toBe(0);
  const trimming = targetOf(stream, { maxLength: 1, whenFull: 'trim' });
  expect(await writeDeadLetters(redis, trimming, [wide])).toEqual({ outcomes: ['written'], trimmed: 2 });
});

test('in Redis Cluster, without a common hash tag, single commands do the same', async () => {
  await using own = await startOwnRedis({ keepsData: false, settings: { 'cluster-enabled': 'yes' } });
  const cluster = new Redis(own.url);
  try {
    await cluster.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await eventually(async () => String(await cluster.call('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    await cluster.xadd('s', '1-0', 'a', 'b');
    await cluster.xgroup('CREATE', 's', 'processor', '0');
    await cluster.xreadgroup('GROUP', 'processor', 'me', 'STREAMS', 's', '>');
    const { outcomes } = await writeDeadLetters(cluster, targetOf('s'), lettersOf('1-0', '2-0'));
    expect(outcomes).toEqual(['written']);
    expect(await idsIn('s', cluster)).toEqual(['1-0']);
    expect(await cluster.xpending('s', 'processor')).toEqual([0, null, null, null]);
  } finally {
    cluster.disconnect();
  }
});

test('it rejects if Redis refuses a dead letter', async () => {
  const stream = `${servers.keyPrefix}taken`;
  await deliver(stream, '1-0');
  await redis.set(deadLetterStream(stream), 'not a stream');
  await expect(writeDeadLetters(redis, targetOf(stream), lettersOf('1-0'))).rejects.toThrow('WRONGTYPE');
  expect(await pendingOf(stream)).toBe(1);
});

test('a reply that does not say what was written counts as a failure', async () => {
  await using server = createServer((socket) => {
    socket.on('data', (bytes) =>
      socket.write('$-1\r\n'.repeat(String(bytes).match(/^\*\d+\r$/gmu)?.length ?? 0)),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const nulls = new Redis({ port, host: '127.0.0.1', enableReadyCheck: false });
  await expect(writeDeadLetters(nulls, targetOf('s'), lettersOf('1-0'))).rejects.toThrow(
    'Redis did not say which dead letters it has written',
  );
  nulls.disconnect();
});
