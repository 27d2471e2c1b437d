import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { eventually } from '../src/eventually.ts';
import { descendantsOf, isRunning, signalTree } from '../src/process-tree.ts';
import { cleanExit, Program } from '../src/program.ts';
import { startServers } from '../src/servers.ts';
import { writeScript } from './support/write-script.ts';

/** Starts a program that starts servers and then runs `ending`, with a temporary folder of its own. */
async function startProgram(ending: string) {
  await using stack = new AsyncDisposableStack();
  const script = stack.use(
    await writeScript(
      `import { startServers } from ${JSON.stringify(new URL('../src/servers.ts', import.meta.url).href)};`,
      "const servers = await startServers({ sources: ['local'], print: () => undefined });",
      "console.log('ready');",
      ending,
    ),
  );
  const folder = join(script.folder, 'temporary');
  await mkdir(folder);
  for (const path of [script.folder, folder]) await chmod(path, 0o711);
  const program = stack.use(new Program({ main: script.main, env: { ...process.env, TMPDIR: folder } }));
  await program.logged(/^ready$/u, { timeoutMs: 60_000 });
  const owned = stack.move();
  return {
    program,
    folder,
    /** Supervisor, servers and their children. */
    processes: descendantsOf(program.pid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function expectNothingLeft(started: Awaited<ReturnType<typeof startProgram>>): Promise<void> {
  // The supervisor, redis-server, postgres and some five processes of its own.
  expect(started.processes.length).toBeGreaterThan(5);
  await eventually(
    () => {
      expect(started.processes.filter(isRunning)).toEqual([]);
      return true;
    },
    { timeoutMs: 15_000 },
  );
  expect(await readdir(started.folder)).toEqual([]);
}

const waitForever = 'setInterval(() => undefined, 1000);';

afterEach(() => {
  vi.unstubAllEnvs();
});

test.for(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
  'servers and their files are removed after %s of the program that started them',
  async (signal) => {
    await using started = await startProgram(waitForever);
    started.program.kill(signal);
    expect(await started.program.exited).toEqual({ code: null, signal });
    await expectNothingLeft(started);
  },
);

test('a Ctrl-C to the whole process group leaves nothing', async () => {
  await using started = await startProgram(waitForever);
  process.kill(-started.program.pid, 'SIGINT');
  expect(await started.program.exited).toEqual({ code: null, signal: 'SIGINT' });
  await expectNothingLeft(started);
});

test('paused servers are removed as well', async () => {
  await using started = await startProgram(waitForever);
  const [supervisor = 0, ...servers] = started.processes;
  for (const server of servers) signalTree(server, 'SIGSTOP');
  await started.program.crash();
  expect(isRunning(supervisor)).toBe(true);
  await expectNothingLeft(started);
});

test.for([
  ['setTimeout(() => undefined, 200);', 0],
  ["setTimeout(() => { throw new Error('failed'); }, 200);", 1],
] as const)(
  'running servers do not keep a program alive or change its exit code: %s',
  async ([ending, code]) => {
    await using started = await startProgram(ending);
    expect(await started.program.exited).toEqual({ ...cleanExit, code });
    await expectNothingLeft(started);
  },
);

test('disposing resolves once the servers have ended', async () => {
  await using started = await startProgram(
    `setTimeout(async () => { await servers[Symbol.asyncDispose](); console.log('disposed'); }, 200);${waitForever}`,
  );
  await started.program.logged(/^disposed$/u);
  expect(started.processes.filter(isRunning)).toEqual([]);
  expect(await readdir(started.folder)).toEqual([]);
});

test('a URL in the environment comes first, is printed, and its server is left running', async () => {
  const lines: string[] = [];
  await using own = await startServers({ sources: ['local'], print: () => undefined });
  vi.stubEnv('REDIS_URL', own.redisUrl);
  vi.stubEnv('POSTGRES_URL', own.postgresUrl);
  const servers = await startServers({
    sources: ['environment', 'local'],
    print: (line) => lines.push(line),
  });
  expect(servers.redisUrl).toBe(own.redisUrl);
  expect(lines).toEqual(['redis: REDIS_URL', 'postgres: POSTGRES_URL']);
  await servers[Symbol.asyncDispose]();
  const redis = new Redis(own.redisUrl);
  expect(await redis.ping()).toBe('PONG');
  redis.disconnect();
});

test('without a server the error says how to get one', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  await expect(startServers({ sources: ['local'], print: () => undefined })).rejects.toThrow(
    /^No Redis: set REDIS_URL, or put redis-server or valkey-server, version 7 or newer, on the PATH/u,
  );
  vi.stubEnv('REDIS_SERVER_BIN', '/bin/true');
  await expect(startServers({ sources: ['local'], print: () => undefined })).rejects.toThrow(
    'REDIS_SERVER_BIN=/bin/true is no Redis or Valkey of version 7 or newer',
  );
});
