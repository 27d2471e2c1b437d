import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { entryOf } from '../support/fixes.ts';
import { deadLetterStream } from '../../src/stream/dead-letter.ts';
import { writeDeadLetters } from '../../src/stream/write-dead-letters.ts';

const servers = await startRedis();
const redis = new Redis(servers.url);

afterAll(async () => {
  redis.disconnect();
  await servers[Symbol.asyncDispose]();
});

test('a dead letter contains the fields byte for byte and the cause', async () => {
  const stream = `${servers.keyPrefix}letters`;
  const bytes = Buffer.from([0, 255, 13, 10, 0xc3]);
  const fields = ['payload', bytes, 'payload', '', bytes, 'x', 'dlq_reason', 'not ours'];
  const first = { entry: entryOf('5-1', fields, 3), reason: 'not_utf8', detail: 'payload must be UTF-8' };
  const second = { entry: entryOf('6-0', []), reason: 'row_refused', detail: 'no', sqlState: '22003' };
  await writeDeadLetters(redis, { stream, consumer: 'processor-1', maxLength: 10 }, [first, second]);
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

test('only the dead-letter stream is trimmed, to about its maximum length', async () => {
  const stream = `${servers.keyPrefix}trimmed`;
  await redis.xadd(stream, '*', 'a', 'b');
  const rejected = Array.from({ length: 1000 }, (_, n) => ({
    entry: entryOf(`${n}-1`, ['a', 'b']),
    reason: 'not_json',
    detail: '',
  }));
  await writeDeadLetters(redis, { stream, consumer: 'c', maxLength: 100 }, rejected);
  const length = await redis.xlen(deadLetterStream(stream));
  expect(length).toBeGreaterThanOrEqual(100);
  // Redis trims whole nodes of its tree, of 100 entries each.
  expect(length).toBeLessThanOrEqual(200);
  expect(await redis.xlen(stream)).toBe(1);
});

test('it rejects if an XADD fails', async () => {
  const stream = `${servers.keyPrefix}taken`;
  await redis.set(deadLetterStream(stream), 'not a stream');
  const letter = { entry: entryOf('1-0', ['a', 'b']), reason: 'not_json', detail: '' };
  await expect(writeDeadLetters(redis, { stream, consumer: 'c', maxLength: 10 }, [letter])).rejects.toThrow(
    'WRONGTYPE',
  );
});
