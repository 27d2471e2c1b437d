import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { openRedisGate, type RequestFault } from '../support/redis-gate.ts';
import { createTestStream, reads } from '../support/test-stream.ts';

const own = await startOwnRedis({ keepsData: false });
const redis = new Redis(own.url);

afterAll(async () => {
  redis.disconnect();
  await own[Symbol.asyncDispose]();
});

function openStream() {
  return createTestStream(redis, { url: own.url, keyPrefix: 'failures:' });
}

/** A way to Redis on which only reads of new entries have a fault. */
async function openGate() {
  const faults: { newReads?: RequestFault } = {};
  const gate = await openRedisGate(own.url, {
    takeFault: async (request) => (request.endsWith('\r\n>\r\n') ? faults.newReads : undefined),
    whenRunning: async () => undefined,
    crash: () => undefined,
  });
  return { faults, url: gate.url, [Symbol.asyncDispose]: () => gate[Symbol.asyncDispose]() };
}

/** The URL of a user that may do everything but some commands. */
async function userWithout(name: string, ...commands: readonly string[]): Promise<string> {
  const denied = commands.map((command) => `-${command}`);
  await redis.call('ACL', 'SETUSER', name, 'on', '>secret', '~*', '&*', '+@all', ...denied);
  return own.url.replace('//', `//${name}:secret@`);
}

test('each cause is logged once, and reads have recovered only when new entries can be read', async () => {
  await using gate = await openGate();
  const stream = openStream();
  const ids = await stream.add(3);
  await stream.deliver('me', 1);
  gate.faults.newReads = { effect: 'error', execution: 'never' };
  await using at = stream.open({ redisUrl: gate.url });
  const count = (message: string): number => at.messages.filter((each) => each === message).length;
  // Its own pending entry is readable after each reconnect.
  for (let n = 0; n < 3; n += 1) expect(await at.next()).toEqual(ids.slice(0, 1));
  expect(at.failures.reason).toBe(
    `${stream.name}: stream read fails: LOADING Redis is loading the dataset in memory`,
  );
  expect(count('warn: stream read failed; retrying')).toBe(1);
  gate.faults.newReads = { effect: 'cut', execution: 'never' };
  for (let n = 0; n < 3; n += 1) expect(await at.next()).toEqual(ids.slice(0, 1));
  expect(at.failures.reason).toContain('the connection to Redis is closed');
  expect(count('warn: stream read failed; retrying')).toBe(2);
  expect(count('info: stream read recovered')).toBe(0);
  delete gate.faults.newReads;
  expect(await at.next()).toEqual(ids.slice(1));
  expect(at.failures.reason).toBeUndefined();
  expect(count('info: stream read recovered')).toBe(1);
  expect(at.lines.find(({ msg }) => msg === 'stream read recovered')).toMatchObject({ stream: stream.name });
});

test('on an idle stream recovery is noticed at once, not when a blocking read ends', async () => {
  await using gate = await openGate();
  const stream = openStream();
  gate.faults.newReads = { effect: 'cut', execution: 'never' };
  await using at = stream.open({ redisUrl: gate.url, blockMs: 600_000 });
  const next = at.next();
  await eventually(() => at.failures.count('read') >= 2);
  delete gate.faults.newReads;
  await eventually(() => at.failures.reason === undefined);
  const [id] = await stream.add(1);
  expect(await next).toEqual([id]);
});

test('a claim that fails is reported while new entries are read, until one succeeds', async () => {
  const url = await userWithout('no-claims', 'xautoclaim');
  const stream = openStream();
  await using at = stream.open({ redisUrl: url, claimIntervalMs: 10 });
  for (let n = 0; n < 3; n += 1) {
    const [id] = await stream.add(1);
    // After each failure its own pending entries come first.
    await eventually(async () => (await at.next())?.includes(id ?? ''));
    expect(at.failures.reason).toMatch(/: claim of idle entries fails: NOPERM/u);
  }
  expect(at.messages.filter((each) => each === 'warn: claim of idle entries failed; retrying')).toHaveLength(
    1,
  );
  await redis.call('ACL', 'SETUSER', 'no-claims', '+xautoclaim');
  const next = at.next();
  await eventually(() => at.failures.reason === undefined);
  expect(at.messages).toContain('info: claim of idle entries recovered');
  await stream.add(1);
  await next;
});

const granted =
  'the user of REDIS_URL lacks the right (NOPERM); grant it as deploy/redis/users.sh does, and run ACL LOAD';

test.for<[string, string, readonly string[]]>([
  ['read new entries', 'read', ['xreadgroup']],
  ['see the group', 'read', ['xinfo']],
  ['create the group', 'read', ['xgroup|create']],
  ['see its own connections', 'read', ['client|list']],
  ['claim entries', 'claim entries of', ['xautoclaim']],
])('a user that may not %s ends the reader after the limit, with what to grant', async ([, step, denied]) => {
  const url = await userWithout(`no-${denied.join()}`, ...denied);
  const stream = openStream();
  await using at = stream.open({ redisUrl: url, permanentErrorLimitMs: 0, claimIntervalMs: 10 });
  await expect(at.next()).rejects.toThrow(
    `Redis refuses the commands that ${step} ${stream.name}: ${granted}`,
  );
});

test('a key of another type, and a wrong password, end the reader after the limit', async () => {
  const stream = openStream();
  await redis.set(stream.name, 'no stream');
  await using at = stream.open({ permanentErrorLimitMs: 0 });
  await expect(at.next()).rejects.toThrow('the key holds another type (WRONGTYPE)');
  await using wrong = stream.open({
    permanentErrorLimitMs: 0,
    redisUrl: own.url.replace('//', '//nobody:wrong@'),
  });
  await expect(wrong.next()).rejects.toThrow('the login is not accepted (WRONGPASS)');
});

test('a right that is missing for less than the limit is waited for', async () => {
  const url = await userWithout('late', 'xreadgroup');
  const stream = openStream();
  const ids = await stream.add(1);
  await using at = stream.open({ redisUrl: url });
  const next = at.next();
  await eventually(() => at.failures.count('read') >= 2);
  await redis.call('ACL', 'SETUSER', 'late', '+xreadgroup');
  expect(await next).toEqual(ids);
});

test('idle consumers that may not be deleted do not stop reading, and are reported once', async () => {
  const url = await userWithout('no-eval', 'eval');
  const stream = openStream();
  await using at = stream.open({ redisUrl: url, claimIntervalMs: 0 });
  for (let n = 0; n < 3; n += 1) {
    const [id] = await stream.add(1);
    expect(await at.next()).toEqual([id]);
  }
  expect(at.failures.reason).toBeUndefined();
  const warnings = at.messages.filter((each) => each.startsWith('warn: '));
  expect(warnings).toEqual(['warn: idle consumers are not deleted; reading continues']);
  expect(await reads(at, 'error')).toBe(0);
});
