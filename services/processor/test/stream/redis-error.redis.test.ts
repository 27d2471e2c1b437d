import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { classifyRedisError, PermanentErrorLimit } from '../../src/stream/redis-error.ts';
import { commandDeadlineMs, StreamConnection } from '../../src/stream/stream-connection.ts';

const own = await startOwnRedis({ keepsData: false });
const admin = new Redis(own.url);
await admin.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@all', '-xadd');
const reader = new Redis(own.url.replace('//', '//reader:secret@'));
const wrong = new Redis(own.url.replace('//', '//reader:wrong@'), { maxRetriesPerRequest: 0 });
wrong.on('error', () => undefined);
await admin.set('string', 'no stream');

afterAll(async () => {
  admin.disconnect();
  reader.disconnect();
  wrong.disconnect();
  await own[Symbol.asyncDispose]();
});

async function errorOf(command: Promise<unknown>): Promise<unknown> {
  return command.then(
    () => new Error('nothing was refused'),
    (error: unknown) => error,
  );
}

async function atTheMemoryLimit(command: () => Promise<unknown>): Promise<unknown> {
  await admin.config('SET', 'maxmemory', '1');
  try {
    return await errorOf(command());
  } finally {
    await admin.config('SET', 'maxmemory', '0');
  }
}

const xadd = "return redis.call('XADD', KEYS[1], '*', 'a', 'b')";

test.for<[string, string, () => Promise<unknown>]>([
  ['a missing right', 'permanent', () => errorOf(reader.xadd('stream', '*', 'a', 'b'))],
  ['a missing right in MULTI', 'permanent', () => errorOf(reader.multi().xadd('s', '*', 'a', 'b').exec())],
  ['a missing right in a script', 'permanent', () => errorOf(reader.eval(xadd, 1, 'stream'))],
  ['a key of another type', 'permanent', () => errorOf(admin.xadd('string', '*', 'a', 'b'))],
  ['a key of another type in a script', 'permanent', () => errorOf(admin.eval(xadd, 1, 'string'))],
  ['an unknown command', 'permanent', () => errorOf(admin.call('XRENAMED'))],
  ['a wrong password', 'permanent', () => errorOf(wrong.ping())],
  ['the memory limit', 'out_of_memory', () => atTheMemoryLimit(() => admin.xadd('s', '*', 'a', 'b'))],
  [
    'the memory limit in MULTI',
    'out_of_memory',
    () => atTheMemoryLimit(() => admin.multi().xadd('s', '*', 'a', 'b').exec()),
  ],
  [
    'the memory limit in a script',
    'out_of_memory',
    () => atTheMemoryLimit(() => admin.eval(xadd, 1, 'stream')),
  ],
  ['a missing group', 'transient', () => errorOf(admin.xreadgroup('GROUP', 'g', 'c', 'STREAMS', 's', '>'))],
])('%s is %s', async ([, wanted, produce]) => {
  expect(classifyRedisError(await produce())).toBe(wanted);
});

test('an error that is not a reply of Redis is transient', () => {
  for (const error of [new Error('NOPERM'), new TypeError('WRONGTYPE x'), 'NOPERM', undefined])
    expect(classifyRedisError(error)).toBe('transient');
});

test('a reply that the own parser reads is classified the same way', async () => {
  const connection = await StreamConnection.open(own.url, 'n', commandDeadlineMs);
  try {
    const error = await errorOf(connection.call('XLEN', ['string'], commandDeadlineMs));
    expect(classifyRedisError(error)).toBe('permanent');
  } finally {
    connection.close();
  }
});

test('permanent errors end the retries once they have lasted, and say what to do', async () => {
  const noRight = await errorOf(reader.xadd('stream', '*', 'a', 'b'));
  const wrongType = await errorOf(admin.xadd('string', '*', 'a', 'b'));
  let nowMs = 0;
  const limit = new PermanentErrorLimit('XADD stream', 60_000, () => nowMs);
  limit.check(noRight);
  nowMs = 59_999;
  limit.check(noRight);
  // Something else in between: Redis may have been restarted with other rights.
  limit.check(new Error('connection closed'));
  nowMs = 100_000;
  limit.check(noRight);
  nowMs = 160_000;
  expect(() => limit.check(noRight)).toThrow(/^Redis refuses XADD stream: .* \(NOPERM\); grant it as /u);
  limit.reset();
  limit.check(wrongType);
  nowMs = 220_000;
  expect(() => limit.check(wrongType)).toThrow('the key holds another type (WRONGTYPE)');
});
