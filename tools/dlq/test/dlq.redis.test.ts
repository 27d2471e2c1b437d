import { deadLetterStream } from '@app/processor/stream/dead-letter';
import { eventually } from '@app/test-kit/eventually';
import { findFreePort } from '@app/test-kit/free-port';
import { startOwnRedis, startRedis, type TestRedis } from '@app/test-kit/redis';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Desk, dlq, hex, openDesk } from './support/open-desk.ts';

let server: TestRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server[Symbol.asyncDispose]());

// Each test starts the command a few times, and all of them run at once.
const patient = { timeout: 120_000 };

let desks = 0;
function newDesk(): Desk {
  desks += 1;
  return openDesk(server.url, `${server.keyPrefix}telemetry:${desks}`);
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
const broken = ['payload', Buffer.from([0xff, 0x00, 0x1b]), 'dlq_reason', 'sent so'];

describe.concurrent('list', patient, () => {
  test('counts by reason and SQLSTATE, with ages by Redis’ clock', async () => {
    await using desk = newDesk();
    const [seconds] = await desk.redis.time();
    const at = (ageS: number): string => `${(Number(seconds) - ageS) * 1000}-0`;
    await desk.plant(
      { id: at(300_000) },
      { id: at(7300), reason: 'row_refused', sqlState: '23514' },
      { id: at(3665), reason: 'row_refused', sqlState: '23514' },
    );
    const { stdout, code } = await desk.run('list');
    expect(code).toBe(0);
    const [title, ...lines] = stdout.trimEnd().split('\n');
    expect(title).toBe(`${desk.stream}: 3 dead letters`);
    expect(lines.map((line) => line.trim().split(/ {2,}/u))).toEqual([
      ['REASON', 'SQLSTATE', 'LETTERS', 'OLDEST', 'NEWEST'],
      ['row_refused', '23514', '2', '2 h', '61 min'],
      ['not_json', '1', '3 d', '3 d'],
    ]);
    const json: unknown = JSON.parse((await desk.run('list', '--json', '--older-than', '2h')).stdout);
    expect(json).toMatchObject({
      streams: [
        {
          stream: desk.stream,
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

  test('names letters one by one without what they hold, and says where it stops', async () => {
    await using desk = newDesk();
    const ids = await desk.plant(
      { fields: position, entryId: '77-3' },
      { fields: position },
      { fields: position },
    );
    const { stdout } = await desk.run('list', '--letters', '--limit', '2');
    expect(stdout).toMatch(new RegExp(`${ids[0]}  +0 s|${ids[0]}  +\\d+ s`, 'u'));
    expect(stdout).toContain('77-3');
    expect(stdout).toContain('the oldest 2 of them');
    expect(stdout).not.toContain(ids[2]);
    const json = (await desk.run('list', '--letters', '--json')).stdout;
    for (const output of [stdout, json]) expect(output).not.toMatch(/46\.1|3500000|why/u);
  });

  test('takes several streams, and the option before the environment', async () => {
    await using one = newDesk();
    await using two = newDesk();
    await one.plant({}, {});
    await two.redis.xadd(two.stream, '*', 'a', '1');
    const { stdout, code } = await one.run('list', '--stream', `${one.stream},${two.stream}`);
    expect({ stdout: stdout.match(/^\S.*$/gmu), code }).toEqual({
      stdout: [`${one.stream}: 2 dead letters`, `${two.stream}: no dead letters`],
      code: 0,
    });
  });
});

describe.concurrent('show', patient, () => {
  test('gives the bytes that were sent and the whole cause', async () => {
    await using desk = newDesk();
    const [first = '', second = ''] = await desk.plant(
      { fields: broken, reason: 'not_utf8' },
      { fields: position, reason: 'row_refused', sqlState: '22003', entryId: '8-8' },
    );
    const { letters } = JSON.parse((await desk.run('show', first, '--json')).stdout);
    expect(letters).toEqual([
      {
        stream: desk.stream,
        id: first,
        parkedAt: expect.stringMatching(/^20.*Z$/u),
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
          { name: { text: 'dlq_reason' }, value: { text: 'sent so' } },
        ],
      },
    ]);
    const { stdout, code } = await desk.run('show', '--entry', '8-8');
    expect(code).toBe(0);
    expect(stdout).toContain(`${desk.stream} ${second}\n  reason      row_refused\n`);
    expect(stdout).toMatch(/sqlstate +22003\n.*\n.*\n.*8-8\n {2}deliveries {2}2\n {2}fields\n {4}ts: 2026/u);
    expect(stdout).toContain('    payload: {"latitude":46.123456}');
  });

  test('lets no letter steer the terminal', async () => {
    await using desk = newDesk();
    await desk.plant({ fields: ['\x1B[2J', 'a\r\x9B31m'], reason: '\x1B[31m' });
    for (const args of [['show', '--all'], ['list'], ['list', '--letters']]) {
      const { stdout } = await desk.run(...args);
      expect(stdout).toContain('\\u{1b}[');
      // oxlint-disable-next-line no-control-regex -- these are what must not be there
      expect(stdout).not.toMatch(/[\x00-\x09\x0B-\x1F\x7F-\x9F]/u);
    }
  });
});

describe.concurrent('replay', patient, () => {
  test('puts the original fields back, to the byte, and takes the letter away', async () => {
    await using desk = newDesk();
    const [first = ''] = await desk.plant({ fields: broken }, { fields: position, reason: 'row_refused' });
    await desk.plant({ fields: position, reason: 'row_refused' });
    expect(await desk.run('replay', first)).toEqual({
      stdout: `${desk.stream}: 1 replayed\n`,
      stderr: '',
      code: 0,
    });
    expect(await desk.onStream()).toEqual([hex(broken)]);
    const { stdout } = await desk.run('replay', '--reason', 'row_refused', '--json');
    expect(JSON.parse(stdout)).toEqual({
      streams: [{ stream: desk.stream, replayed: 2, gone: 0, notLetters: [] }],
    });
    expect(await desk.onStream()).toEqual([hex(broken), hex(position), hex(position)]);
    expect(await desk.letterIds()).toEqual([]);
  });

  test('done twice does it once, and says that a letter named is not there', async () => {
    await using desk = newDesk();
    const [id = ''] = await desk.plant({}, {});
    await desk.run('replay', id);
    const again = await desk.run('replay', id);
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 of the 1 named are not among'),
    });
    expect((await desk.run('replay', '--all')).code).toBe(0);
    expect(await desk.run('replay', '--all')).toMatchObject({
      stdout: `${desk.stream}: 0 replayed\n`,
      code: 0,
    });
    expect(await desk.onStream()).toHaveLength(2);
  });

  test('by two operators at once puts each letter back once', async () => {
    await using desk = newDesk();
    await desk.plant(...Array.from({ length: 2000 }, (_, n) => ({ fields: ['n', String(n)] })));
    const all = ['replay', '--all', '--per-second', '100000', '--json'];
    const endings = await Promise.all([desk.run(...all), desk.run(...all)]);
    const replayed = endings.map(({ stdout }) => JSON.parse(stdout).streams[0].replayed);
    expect(endings.map(({ code }) => code)).toEqual([0, 0]);
    expect(replayed[0] + replayed[1]).toBe(2000);
    const entries = await desk.onStream();
    expect(entries).toHaveLength(2000);
    expect(new Set(entries).size).toBe(2000);
    expect(await desk.letterIds()).toEqual([]);
  });

  test.for([
    ['SIGKILL', null],
    ['SIGINT', 130],
  ] as const)(
    'ended in the middle by %s leaves each letter in one of the two places, and can be begun again',
    async ([signal, wanted]) => {
      await using desk = newDesk();
      await desk.plant(...Array.from({ length: 300 }, (_, n) => ({ fields: ['n', String(n)] })));
      await using command = desk.start('replay', '--all', '--per-second', '50');
      await eventually(async () => (await desk.redis.xlen(desk.stream)) > 0, { timeoutMs: 60_000 });
      command.kill(signal);
      const { code } = await command.exited;
      const { stderr } = command;
      expect(code).toBe(wanted);
      expect(stderr.includes('interrupted')).toBe(signal === 'SIGINT');
      const moved = await desk.redis.xlen(desk.stream);
      expect(moved).toBeLessThan(300);
      expect(moved + (await desk.letterIds()).length).toBe(300);
      await desk.run('replay', '--all');
      expect(new Set(await desk.onStream()).size).toBe(300);
      expect(await desk.onStream()).toHaveLength(300);
    },
  );

  test('keeps to its rate', async () => {
    await using desk = newDesk();
    await desk.plant(...Array.from({ length: 20 }, () => ({})));
    const startedAtMs = performance.now();
    expect((await desk.run('replay', '--all', '--per-second', '10')).code).toBe(0);
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(1990);
  });

  test('takes an entry with more fields than a script can hold', async () => {
    await using desk = newDesk();
    const wide = Array.from({ length: 10_000 }, (_, n) => String(n));
    await desk.plant({ fields: wide });
    expect(await desk.run('replay', '--all')).toMatchObject({
      stdout: `${desk.stream}: 1 replayed\n`,
      code: 0,
    });
    expect(await desk.onStream()).toEqual([hex(wide)]);
    expect(await desk.letterIds()).toEqual([]);
  });

  test('leaves alone what the processor did not write', async () => {
    await using desk = newDesk();
    const strange = await desk.redis.xadd(deadLetterStream(desk.stream), '*', 'payload', '{}');
    await desk.plant({});
    const { stdout, stderr, code } = await desk.run('replay', '--all');
    expect({ stdout, code }).toEqual({ stdout: `${desk.stream}: 1 replayed\n`, code: 1 });
    expect(stderr).toContain(`left 1 alone that the processor did not write: ${strange}`);
    expect(await desk.letterIds()).toEqual([strange]);
    expect((await desk.run('list')).stdout).toContain('not_a_letter');
    expect((await desk.run('show', '--all')).stdout).toContain('payload: {}');
  });

  test('keeps the letter where Redis does not take the entry', async () => {
    await using own = await startOwnRedis();
    await using desk = openDesk(own.url, 'telemetry:full');
    await desk.plant({}, {});
    await desk.redis.config('SET', 'maxmemory', '1');
    const { stderr, code } = await desk.run('replay', '--all');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^dlq: Redis says no: .*OOM/u),
    });
    expect([await desk.onStream(), (await desk.letterIds()).length]).toEqual([[], 2]);
  });

  test('works in Redis Cluster, with the two keys in one slot and in two', async () => {
    await using own = await startOwnRedis({ settings: { 'cluster-enabled': 'yes' } });
    for (const stream of ['telemetry:{00}', 'telemetry:x']) {
      await using desk = openDesk(own.url, stream);
      await desk.redis.cluster('ADDSLOTSRANGE', 0, 16_383).catch(() => undefined);
      await eventually(async () => (await desk.redis.cluster('INFO')).includes('cluster_state:ok'), {
        timeoutMs: 60_000,
      });
      await desk.plant({ fields: broken }, { fields: position });
      expect(await desk.run('replay', '--all')).toEqual({
        stdout: `${stream}: 2 replayed\n`,
        stderr: '',
        code: 0,
      });
      expect(await desk.onStream()).toEqual([hex(broken), hex(position)]);
      expect(await desk.letterIds()).toEqual([]);
    }
  });
});

describe.concurrent('purge', patient, () => {
  test('without --yes counts and deletes nothing', async () => {
    await using desk = newDesk();
    await desk.plant({}, {}, { reason: 'row_refused' });
    const { stdout, stderr, code } = await desk.run('purge', '--reason', 'not_json');
    expect({ stdout, code }).toEqual({ stdout: `${desk.stream}: 2 would be deleted\n`, code: 2 });
    expect(stderr).toContain('with --yes');
    expect(await desk.letterIds()).toHaveLength(3);
  });

  test('deletes by id, by reason, by age, and all', async () => {
    await using desk = newDesk();
    const [seconds] = await desk.redis.time();
    const [old = '', , , named = ''] = await desk.plant(
      { id: `${(Number(seconds) - 3600) * 1000}-0` },
      {},
      { reason: 'row_refused' },
      {},
      {},
    );
    expect((await desk.run('purge', '--older-than', '59m', '--yes')).stdout).toBe(
      `${desk.stream}: 1 deleted\n`,
    );
    expect(await desk.letterIds()).not.toContain(old);
    expect((await desk.run('purge', named, '--yes')).stdout).toBe(`${desk.stream}: 1 deleted\n`);
    expect((await desk.run('purge', named, '--yes')).code).toBe(1);
    expect((await desk.run('purge', '--reason', 'row_refused', '--yes')).stdout).toContain('1 deleted');
    expect(JSON.parse((await desk.run('purge', '--all', '--yes', '--json')).stdout)).toEqual({
      streams: [{ stream: desk.stream, purged: 2 }],
    });
    expect(await desk.onStream()).toEqual([]);
  });
});

describe.concurrent('what cannot be done is refused with its own exit code:', patient, () => {
  test('a stream that nobody knows, and a key that is none', async () => {
    await using desk = newDesk();
    expect(await desk.run('list')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('Redis has no stream'),
    });
    await desk.redis.set(deadLetterStream(desk.stream), 'a text');
    expect(await desk.run('replay', '--all')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('another type'),
    });
  });

  test('an id that is none, with the usage', async () => {
    await using desk = newDesk();
    expect(await desk.run('show', 'yesterday')).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^dlq: "yesterday" is no id.*\n\nusage: /u),
    });
    expect((await desk.run('--help')).stdout).toContain('usage: ./run dlq');
  });

  test('missing settings, all at once', async () => {
    const { code, stderr } = await dlq(['list'], {});
    expect(code).toBe(78);
    expect(stderr).toContain('REDIS_URL is not set');
    expect(stderr).toContain('REDIS_TELEMETRY_STREAM is not set');
  });

  test('a Redis that is not there, one that says nothing, one that knows another password', async () => {
    const port = await findFreePort();
    const away = await dlq(['list'], onX(`redis://127.0.0.1:${port}`));
    expect(away).toMatchObject({
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
      stderr: expect.stringMatching(/^dlq: Redis says no: .*WRONGPASS/u),
    });
    expect(refused.stderr).not.toContain('secretword');
  });
});
