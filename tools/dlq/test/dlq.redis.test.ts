import { deadLetterStream } from '@app/processor/stream/dead-letter';
import { records } from '@app/processor/testing/telemetry';
import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { findFreePort } from '@app/test-kit/free-port';
import { startOwnRedis, startRedis, type TestRedis } from '@app/test-kit/redis';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dlq, type Fixture, hex, openFixture } from './support/open-fixture.ts';

let server: TestRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server[Symbol.asyncDispose]());

// The tests run concurrently, each with several processes.
const slow = { timeout: 120_000 };

let fixtures = 0;
function newFixture(): Fixture {
  fixtures += 1;
  return openFixture(server.url, `${server.keyPrefix}telemetry:${fixtures}`);
}

function onX(redisUrl: string): Readonly<Record<string, string>> {
  return { REDIS_URL: redisUrl, REDIS_TELEMETRY_STREAM: 'x' };
}

const position = [
  'ts',
  '2026-06-01T08:00:00Z',
  'device_id',
  '350000000000001',
  'payload',
  '{"latitude":46.123456}',
];
const notUtf8 = ['payload', Buffer.from([0xff, 0x00, 0x1b]), 'dlq_reason', 'original'];

describe.concurrent('list', slow, () => {
  test('counts by reason and SQLSTATE, with ages by Redis’ clock', async () => {
    await using fixture = newFixture();
    const [seconds] = await fixture.redis.time();
    const at = (ageS: number): string => `${(Number(seconds) - ageS) * 1000}-0`;
    await fixture.add(
      { id: at(300_000) },
      { id: at(7300), reason: 'row_refused', sqlState: '23514' },
      { id: at(3665), reason: 'row_refused', sqlState: '23514' },
    );
    const { stdout, code } = await fixture.run('list');
    expect(code).toBe(0);
    const [title, ...lines] = stdout.trimEnd().split('\n');
    expect(title).toBe(`${fixture.stream}: 3 dead letters`);
    expect(lines.map((line) => line.trim().split(/ {2,}/u))).toEqual([
      ['REASON', 'SQLSTATE', 'COUNT', 'OLDEST', 'NEWEST'],
      ['row_refused', '23514', '2', '2 h', '61 min'],
      ['not_json', '1', '3 d', '3 d'],
    ]);
    const json: unknown = JSON.parse((await fixture.run('list', '--json', '--older-than', '2h')).stdout);
    expect(json).toMatchObject({
      streams: [
        {
          stream: fixture.stream,
          letters: 2,
          reasons: [
            { reason: 'not_json', sqlState: '', letters: 1 },
            {
              reason: 'row_refused',
              sqlState: '23514',
              letters: 1,
              oldestAt: new Date((Number(seconds) - 7300) * 1000).toISOString(),
            },
          ],
        },
      ],
    });
  });

  test('--letters prints ids without content and reports the limit', async () => {
    await using fixture = newFixture();
    const ids = await fixture.add(
      { fields: position, entryId: '77-3' },
      { fields: position },
      { fields: position },
    );
    const { stdout } = await fixture.run('list', '--letters', '--limit', '2');
    expect(stdout).toMatch(new RegExp(`${ids[0]}  +0 s|${ids[0]}  +\\d+ s`, 'u'));
    expect(stdout).toContain('77-3');
    expect(stdout).toContain('the oldest 2 of them');
    expect(stdout).not.toContain(ids[2]);
    const json = (await fixture.run('list', '--letters', '--json')).stdout;
    for (const output of [stdout, json]) expect(output).not.toMatch(/46\.1|3500000|why/u);
  });

  test('accepts several streams; --stream overrides the environment', async () => {
    await using one = newFixture();
    await using two = newFixture();
    await one.add({}, {});
    await two.redis.xadd(two.stream, '*', 'a', '1');
    const { stdout, code } = await one.run('list', '--stream', `${one.stream},${two.stream}`);
    expect({ stdout: stdout.match(/^\S.*$/gmu), code }).toEqual({
      stdout: [`${one.stream}: 2 dead letters`, `${two.stream}: no dead letters`],
      code: 0,
    });
  });
});

describe.concurrent('show', slow, () => {
  test('prints the original bytes and the whole cause', async () => {
    await using fixture = newFixture();
    const [first = '', second = ''] = await fixture.add(
      { fields: notUtf8, reason: 'not_utf8' },
      { fields: position, reason: 'row_refused', sqlState: '22003', entryId: '8-8' },
    );
    const { letters } = JSON.parse((await fixture.run('show', first, '--json')).stdout);
    expect(letters).toEqual([
      {
        stream: fixture.stream,
        id: first,
        deadLetteredAt: expect.stringMatching(/^20.*Z$/u),
        reason: 'not_utf8',
        detail: 'why',
        sqlState: '',
        entryId: '5-1',
        deliveries: 2,
        consumer: 'processor-1',
        fields: [
          {
            name: { text: 'payload' },
            value: { base64: Buffer.from([0xff, 0x00, 0x1b]).toString('base64') },
          },
          { name: { text: 'dlq_reason' }, value: { text: 'original' } },
        ],
      },
    ]);
    const { stdout, code } = await fixture.run('show', '--entry', '8-8');
    expect(code).toBe(0);
    expect(stdout).toContain(`${fixture.stream} ${second}\n  reason            row_refused\n`);
    expect(stdout).toMatch(/sqlstate +22003\n.*\n.*\n.*8-8\n {2}deliveries +2\n {2}fields\n {4}ts: 2026/u);
    expect(stdout).toContain('    payload: {"latitude":46.123456}');
  });

  test('says that there are none', async () => {
    await using fixture = newFixture();
    await fixture.redis.xadd(fixture.stream, '*', 'a', '1');
    expect(await fixture.run('show', '--all')).toMatchObject({
      code: 0,
      stdout: `${fixture.stream}: no dead letters selected\n`,
    });
  });

  test('escapes control characters of dead letters', async () => {
    await using fixture = newFixture();
    await fixture.add({ fields: ['\x1B[2J', 'a\r\x9B31m'], reason: '\x1B[31m' });
    for (const args of [['show', '--all'], ['list'], ['list', '--letters']]) {
      const { stdout } = await fixture.run(...args);
      expect(stdout).toContain('\\u{1b}[');
      // oxlint-disable-next-line no-control-regex -- matches unescaped control characters
      expect(stdout).not.toMatch(/[\x00-\x09\x0B-\x1F\x7F-\x9F]/u);
    }
  });
});

describe.concurrent('replay', slow, () => {
  test('moves the original fields back byte for byte', async () => {
    await using fixture = newFixture();
    const [first = ''] = await fixture.add({ fields: notUtf8 }, { fields: position, reason: 'row_refused' });
    await fixture.add({ fields: position, reason: 'row_refused' });
    expect(await fixture.run('replay', first)).toEqual({
      stdout: `${fixture.stream}: 1 replayed\n`,
      stderr: '',
      code: 0,
    });
    expect(await fixture.streamEntries()).toEqual([hex(notUtf8)]);
    const { stdout } = await fixture.run('replay', '--reason', 'row_refused', '--json');
    expect(JSON.parse(stdout)).toEqual({
      streams: [{ stream: fixture.stream, replayed: 2, gone: 0, notLetters: [] }],
    });
    expect(await fixture.streamEntries()).toEqual([hex(notUtf8), hex(position), hex(position)]);
    expect(await fixture.deadLetterIds()).toEqual([]);
  });

  test('run twice moves once and reports ids that are not found', async () => {
    await using fixture = newFixture();
    const [id = ''] = await fixture.add({}, {});
    await fixture.run('replay', id);
    const again = await fixture.run('replay', id);
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 of the 1 ids are not dead letters'),
    });
    expect((await fixture.run('replay', '--all')).code).toBe(0);
    expect(await fixture.run('replay', '--all')).toMatchObject({
      stdout: `${fixture.stream}: 0 replayed\n`,
      code: 0,
    });
    expect(await fixture.streamEntries()).toHaveLength(2);
  });

  test('of so many that would be rejected again that the stream would stop moves nothing without --anyway', async () => {
    await using fixture = newFixture();
    await fixture.add(
      ...Array.from({ length: 249 }, () => ({ fields: ['payload', 'no JSON', 'codec', '8'] })),
    );
    expect(await fixture.run('replay', '--all')).toMatchObject({ code: 0, stderr: '' });
    await fixture.add(
      ...Array.from({ length: 240 }, () => ({ fields: ['payload', 'no JSON', 'codec', '8'] })),
      ...Array.from({ length: 10 }, () => ({ fields: ['codec', '8'] })),
    );
    const { code, stdout, stderr } = await fixture.run('replay', '--all');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('250 of 250 would be rejected again (240 not_json, 10 missing_field)');
    expect(await fixture.deadLetterIds()).toHaveLength(250);
    expect((await fixture.run('replay', '--all', '--anyway')).stdout).toContain('250 replayed');
  });

  test('of so many that contradict stored records that the stream would stop moves nothing without --anyway', async () => {
    await using fixture = newFixture();
    const sent = records(250).map(encodeFields);
    await fixture.add(...sent.map((fields) => ({ fields, reason: 'same_time' })));
    const { code, stdout, stderr } = await fixture.run('replay', '--all');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('250 of 250 would be rejected again (250 same_time)');
    expect(await fixture.deadLetterIds()).toHaveLength(250);
    expect((await fixture.run('replay', '--all', '--anyway')).stdout).toContain('250 replayed');

    // The same records with another reason are stored.
    await fixture.add(...sent.map((fields) => ({ fields, reason: 'row_refused' })));
    expect((await fixture.run('replay', '--all')).stdout).toContain('250 replayed');
  });

  test('run by two operators at once moves each dead letter once', async () => {
    await using fixture = newFixture();
    await fixture.add(...Array.from({ length: 2000 }, (_, n) => ({ fields: ['n', String(n)] })));
    const all = ['replay', '--all', '--anyway', '--per-second', '100000', '--json'];
    const results = await Promise.all([fixture.run(...all), fixture.run(...all)]);
    const replayed = results.map(({ stdout }) => JSON.parse(stdout).streams[0].replayed);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(replayed[0] + replayed[1]).toBe(2000);
    const entries = await fixture.streamEntries();
    expect(entries).toHaveLength(2000);
    expect(new Set(entries).size).toBe(2000);
    expect(await fixture.deadLetterIds()).toEqual([]);
  });

  test.for([
    ['SIGKILL', null],
    ['SIGINT', 130],
  ] as const)(
    'interrupted by %s leaves each entry in exactly one stream and can be run again',
    async ([signal, expectedCode]) => {
      await using fixture = newFixture();
      await fixture.add(...Array.from({ length: 200 }, (_, n) => ({ fields: ['n', String(n)] })));
      await using command = fixture.start('replay', '--all', '--per-second', '50');
      await eventually(async () => (await fixture.redis.xlen(fixture.stream)) > 0, { timeoutMs: 60_000 });
      command.kill(signal);
      const { code } = await command.exited;
      const { stderr } = command;
      expect(code).toBe(expectedCode);
      expect(stderr.includes('interrupted')).toBe(signal === 'SIGINT');
      // --per-second 50: the rest was still to come.
      const moved = await fixture.redis.xlen(fixture.stream);
      expect(moved).toBeLessThan(200);
      expect(moved + (await fixture.deadLetterIds()).length).toBe(200);
      await fixture.run('replay', '--all');
      expect(new Set(await fixture.streamEntries()).size).toBe(200);
      expect(await fixture.streamEntries()).toHaveLength(200);
    },
  );

  test('moves an entry with more fields than a Lua script can hold', async () => {
    await using fixture = newFixture();
    const wide = Array.from({ length: 10_000 }, (_, n) => String(n));
    await fixture.add({ fields: wide });
    expect(await fixture.run('replay', '--all')).toMatchObject({
      stdout: `${fixture.stream}: 1 replayed\n`,
      code: 0,
    });
    expect(await fixture.streamEntries()).toEqual([hex(wide)]);
    expect(await fixture.deadLetterIds()).toEqual([]);
  });

  test('skips entries that the processor did not write', async () => {
    await using fixture = newFixture();
    const foreign = await fixture.redis.xadd(deadLetterStream(fixture.stream), '*', 'payload', '{}');
    await fixture.add({});
    const { stdout, stderr, code } = await fixture.run('replay', '--all');
    expect({ stdout, code }).toEqual({ stdout: `${fixture.stream}: 1 replayed\n`, code: 1 });
    expect(stderr).toContain(`skipped 1 not written by the processor: ${foreign}`);
    expect(await fixture.deadLetterIds()).toEqual([foreign]);
    expect((await fixture.run('list')).stdout).toContain('not_a_letter');
    expect((await fixture.run('show', '--all')).stdout).toContain('payload: {}');
  });

  test('keeps the dead letter if Redis refuses the entry', async () => {
    await using own = await startOwnRedis();
    await using fixture = openFixture(own.url, 'telemetry:full');
    await fixture.add({}, {});
    await fixture.redis.config('SET', 'maxmemory', '1');
    const { stderr, code } = await fixture.run('replay', '--all');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^dlq: Redis refused a command: .*OOM/u),
    });
    expect([await fixture.streamEntries(), (await fixture.deadLetterIds()).length]).toEqual([[], 2]);
  });

  test('works in Redis Cluster, with both keys in the same slot or in different ones', async () => {
    await using own = await startOwnRedis({ settings: { 'cluster-enabled': 'yes' } });
    for (const stream of ['telemetry:{00}', 'telemetry:x']) {
      await using fixture = openFixture(own.url, stream);
      await fixture.redis.cluster('ADDSLOTSRANGE', 0, 16_383).catch(() => undefined);
      await eventually(async () => (await fixture.redis.cluster('INFO')).includes('cluster_state:ok'), {
        timeoutMs: 60_000,
      });
      await fixture.add({ fields: notUtf8 }, { fields: position });
      expect(await fixture.run('replay', '--all')).toEqual({
        stdout: `${stream}: 2 replayed\n`,
        stderr: '',
        code: 0,
      });
      expect(await fixture.streamEntries()).toEqual([hex(notUtf8), hex(position)]);
      expect(await fixture.deadLetterIds()).toEqual([]);
    }
  });
});

describe.concurrent('purge', slow, () => {
  test('without --yes counts and deletes nothing', async () => {
    await using fixture = newFixture();
    await fixture.add({}, {}, { reason: 'row_refused' });
    const { stdout, stderr, code } = await fixture.run('purge', '--reason', 'not_json');
    expect({ stdout, code }).toEqual({ stdout: `${fixture.stream}: 2 would be deleted\n`, code: 2 });
    expect(stderr).toContain('add --yes');
    expect(await fixture.deadLetterIds()).toHaveLength(3);
  });

  test('deletes by id, reason, age, or all', async () => {
    await using fixture = newFixture();
    const [seconds] = await fixture.redis.time();
    const [old = '', , , named = ''] = await fixture.add(
      { id: `${(Number(seconds) - 3600) * 1000}-0` },
      {},
      { reason: 'row_refused' },
      {},
      {},
    );
    expect((await fixture.run('purge', '--older-than', '59m', '--yes')).stdout).toBe(
      `${fixture.stream}: 1 deleted\n`,
    );
    expect(await fixture.deadLetterIds()).not.toContain(old);
    expect((await fixture.run('purge', named, '--yes')).stdout).toBe(`${fixture.stream}: 1 deleted\n`);
    expect((await fixture.run('purge', named, '--yes')).code).toBe(1);
    expect((await fixture.run('purge', '--reason', 'row_refused', '--yes')).stdout).toContain('1 deleted');
    expect(JSON.parse((await fixture.run('purge', '--all', '--yes', '--json')).stdout)).toEqual({
      streams: [{ stream: fixture.stream, purged: 2 }],
    });
    expect(await fixture.streamEntries()).toEqual([]);
  });
});

describe.concurrent('exit codes:', slow, () => {
  test('1 for an unknown stream and a key of another type', async () => {
    await using fixture = newFixture();
    expect(await fixture.run('list')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('Redis has neither a stream'),
    });
    await fixture.redis.set(deadLetterStream(fixture.stream), 'a string');
    expect(await fixture.run('replay', '--all')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is not a stream'),
    });
  });

  test('2 and the usage for an invalid id', async () => {
    await using fixture = newFixture();
    expect(await fixture.run('show', 'yesterday')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^dlq: "yesterday" is not an id.*\n\nusage: /u),
    });
    expect((await fixture.run('--help')).stdout).toContain('usage: ./run dlq');
  });

  test('78 for missing settings, with all of them', async () => {
    const { code, stderr } = await dlq(['list'], {});
    expect(code).toBe(78);
    expect(stderr).toContain('REDIS_URL is not set');
    expect(stderr).toContain('REDIS_TELEMETRY_STREAM is not set');
  });

  test('69 for a Redis that is down or does not answer, 1 for wrong credentials', async () => {
    const port = await findFreePort();
    const down = await dlq(['list'], onX(`redis://127.0.0.1:${port}`));
    expect(down).toMatchObject({
      code: 69,
      stderr: expect.stringContaining('does not answer: connect ECONNREFUSED'),
    });

    const silent = createServer().listen(port, '127.0.0.1');
    await once(silent, 'listening');
    expect((await dlq(['list'], onX(`redis://127.0.0.1:${port}`))).code).toBe(69);
    silent.close();

    const refused = await dlq(['list'], onX(server.url.replace('//', '//nobody:secretword@')));
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^dlq: Redis refused a command: .*WRONGPASS/u),
    });
    expect(refused.stderr).not.toContain('secretword');
  });
});
