import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { eventually } from '@app/test-kit/eventually';
import { startServers } from '@app/test-kit/servers';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { DemoProcess, listDescendants, stillRunning } from './support/demo-process.ts';

/** Its own servers, as on a machine that has none. */
const ownServers = { TEST_SERVERS: 'local' };

const timeoutMs = 240_000;

test(
  'a demo exits with 0, a consistent summary and the results of each scripted incident',
  async () => {
    await using demo = await DemoProcess.start(
      ['--started', '4m', '--for', '2s', '--vehicles', '20', '--seed', '3'],
      ownServers,
    );
    await expectExit(demo, 0);

    const summary = demo.stdout.trim().split('\n').at(-1) ?? '';
    const numbers =
      /^sent (\d+) records \((\d+) fixes\), stored (\d+), duplicates (\d+), dead letters (\d+), received (\d+), fix to client p50 (\d+) ms p99 (\d+) ms$/.exec(
        summary,
      );
    if (numbers === null) throw new Error(`no summary: ${summary}`);
    const [sent = 0, fixes, stored = 0, duplicates = 0, deadLetters = 0, received, p50Ms = 0, p99Ms] =
      numbers.slice(1).map(Number) ?? [];
    expect(stored).toBe(fixes);
    expect(stored + duplicates + deadLetters).toBe(sent);
    expect(deadLetters).toBe(0);
    // 21 trackers, a fix a second each.
    expect(stored).toBeGreaterThan(21 * 240);
    expect(received).toBeGreaterThan(60);
    expect(p99Ms).toBeGreaterThanOrEqual(p50Ms);
    // That every passing follows from the script too, the demo has checked: it exits with 0.
    const results = demo.stdout.slice(demo.stdout.indexOf('Results in Postgres')).split('\n');
    expect(results[0]).toMatch(/: \d+ of 20 entries have finished SS 1$/u);
    expect(results.filter((line) => /^ {2}SS 1 place \d/u.test(line))).toHaveLength(5);
    const incidents = results.flatMap(
      (line) =>
        /^ {2}(SOS|stop|missed waypoint|speeding) +No\. (\d+) .* {2}(\S.*)$/u
          .exec(line)
          ?.slice(1)
          .join(' ') ?? [],
    );
    expect(incidents).toEqual([
      'missed waypoint 2 SS 1 WP 2, penalty 60 s',
      'SOS 5 open',
      expect.stringMatching(/^speeding 3 SS 2 Village, 1[1-5]\d km\/h, penalty [1-9][\d.]+ s$/u),
      expect.stringMatching(/^stop 4 SS 1, for 9\d s$/u),
    ]);
    expect(await demo.leftInTemporaryFolder()).toEqual([]);
  },
  timeoutMs,
);

test(
  'Ctrl-C ends a demo without a duration and leaves no process and no temporary folder',
  async () => {
    await using demo = await DemoProcess.start(['--vehicles', '20'], ownServers);
    await demo.untilRacing();
    const loginPage = /in a browser: (\S+),/u.exec(demo.stdout)?.[1] ?? 'http://none.invalid';
    expect((await fetch(loginPage)).status).toBe(200);
    const inspect = /^ {2}(.*redis-cli .*)$/mu.exec(demo.stdout)?.[1] ?? 'false';
    expect((await promisify(execFile)('sh', ['-c', inspect])).stdout).toContain('processor');
    const started = listDescendants(demo.pid);
    const programs = ['processor/src/main.ts', 'live-gateway/src/main.ts', 'redis-server', 'postgres'];
    expect(programs.filter((program) => started.some(({ command }) => command.includes(program)))).toEqual(
      programs,
    );

    demo.interrupt();
    await expectExit(demo, 0);
    expect(demo.stdout.trim().split('\n').at(-1)).toMatch(/^sent \d+ records/);
    expect(stillRunning(started)).toEqual([]);
    expect(await demo.leftInTemporaryFolder()).toEqual([]);
  },
  timeoutMs,
);

test(
  'Ctrl-C during the start leaves nothing and exits with 130',
  async () => {
    await using demo = await DemoProcess.start(['--for', '1h'], ownServers);
    const started = await eventually(
      () => {
        const processes = listDescendants(demo.pid);
        return processes.some(({ command }) => command.includes('processor/src/main.ts')) && processes;
      },
      { timeoutMs: 60_000 },
    );
    demo.interrupt();
    await expectExit(demo, 130);
    expect(stillRunning(started)).toEqual([]);
    expect(await demo.leftInTemporaryFolder()).toEqual([]);
  },
  timeoutMs,
);

test(
  'a killed demo leaves no process and no temporary folder',
  async () => {
    await using demo = await DemoProcess.start(['--vehicles', '20'], ownServers);
    await demo.untilRacing();
    const started = listDescendants(demo.pid);
    process.kill(demo.pid, 'SIGKILL');
    await eventually(
      async () => {
        expect(stillRunning(started)).toEqual([]);
        expect(await demo.leftInTemporaryFolder()).toEqual([]);
        return true;
      },
      { timeoutMs: 60_000 },
    );
  },
  timeoutMs,
);

test(
  'a service that dies ends the demo with its last lines and exit code 1',
  async () => {
    await using demo = await DemoProcess.start(['--vehicles', '20'], ownServers);
    await demo.untilRacing();
    const started = listDescendants(demo.pid);
    const gateway = started.find(({ command }) => command.includes('live-gateway/src/main.ts'));
    if (gateway === undefined) throw new Error('there is no gateway');
    process.kill(gateway.pid, 'SIGKILL');
    expect((await demo.exited).code).toBe(1);
    expect(demo.stderr).toContain('live-gateway ended with SIGKILL');
    expect(demo.stderr).toContain('listening');
    expect(stillRunning(started)).toEqual([]);
  },
  timeoutMs,
);

test(
  'given servers are used and keep no key or database of the demo',
  async () => {
    // Not those of the run: other tests come and go in them at the same time.
    await using servers = await startServers({ sources: ['container', 'local'] });
    const { redisUrl, postgresUrl } = servers;
    const before = await lookInside(redisUrl, postgresUrl);
    await using demo = await DemoProcess.start(['--for', '2s', '--vehicles', '20'], {
      REDIS_URL: redisUrl,
      POSTGRES_URL: postgresUrl,
    });
    await demo.untilRacing();
    const during = await lookInside(redisUrl, postgresUrl);
    expect(during.difference(before).size).toBeGreaterThan(1);
    await expectExit(demo, 0);
    expect(await lookInside(redisUrl, postgresUrl)).toEqual(before);
  },
  timeoutMs,
);

async function expectExit(demo: DemoProcess, wanted: number): Promise<void> {
  const { code } = await demo.exited;
  expect({ code, stderr: demo.stderr }).toEqual({ code: wanted, stderr: '' });
}

/** The names of all keys and databases. */
async function lookInside(redisUrl: string, postgresUrl: string): Promise<Set<string>> {
  const redis = new Redis(redisUrl);
  const sql = postgres(postgresUrl, { max: 1 });
  try {
    const databases = await sql<{ datname: string }[]>`select datname from pg_database`;
    return new Set([...(await redis.keys('*')), ...databases.map(({ datname }) => datname)]);
  } finally {
    redis.disconnect();
    await sql.end();
  }
}
