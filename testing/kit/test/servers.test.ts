import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { eventually } from '../src/eventually.ts';
import { descendantsOf, isRunning, signalTree } from '../src/process-tree.ts';
import { startServers } from '../src/servers.ts';

/** A program that starts servers and then runs `ending`, with a temporary folder of its own. */
class Program implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly exit: Promise<unknown[]>;

  private constructor(child: ChildProcess, folder: string) {
    this.child = child;
    this.folder = folder;
    this.exit = once(child, 'exit');
  }

  static async start(ending: string): Promise<Program> {
    const folder = await mkdtemp(join(tmpdir(), 'servers-test-'));
    await chmod(folder, 0o711);
    const code = `
      import { startServers } from ${JSON.stringify(new URL('../src/servers.ts', import.meta.url).href)};
      const servers = await startServers({ sources: ['local'], print: () => undefined });
      console.log('ready');
      ${ending}`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      env: { ...process.env, TMPDIR: folder },
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return new Program(child, folder);
  }

  /** Supervisor, servers and their children, once all have started. */
  async processes(): Promise<readonly number[]> {
    await once(this.child.stdout ?? this.child, 'data');
    return descendantsOf(this.child.pid ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function expectNothingLeft(program: Program, processes: readonly number[]): Promise<void> {
  // The supervisor, redis-server, postgres and some five processes of its own.
  expect(processes.length).toBeGreaterThan(5);
  await eventually(
    () => {
      expect(processes.filter(isRunning)).toEqual([]);
      return true;
    },
    { timeoutMs: 15_000 },
  );
  expect(await readdir(program.folder)).toEqual([]);
}

const waitForever = 'setInterval(() => undefined, 1000);';

test.for(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
  'servers and their files are removed after %s of the program that started them',
  async (signal) => {
    await using program = await Program.start(waitForever);
    const processes = await program.processes();
    program.child.kill(signal);
    expect(await program.exit).toEqual([null, signal]);
    await expectNothingLeft(program, processes);
  },
);

test('a Ctrl-C to the whole process group leaves nothing', async () => {
  await using program = await Program.start(waitForever);
  const processes = await program.processes();
  process.kill(-(program.child.pid ?? 0), 'SIGINT');
  expect(await program.exit).toEqual([null, 'SIGINT']);
  await expectNothingLeft(program, processes);
});

test('paused servers are removed as well', async () => {
  await using program = await Program.start(waitForever);
  const processes = await program.processes();
  const [supervisor = 0, ...servers] = processes;
  for (const server of servers) signalTree(server, 'SIGSTOP');
  program.child.kill('SIGKILL');
  await program.exit;
  expect(isRunning(supervisor)).toBe(true);
  await expectNothingLeft(program, processes);
});

test('running servers do not keep a finished program alive', async () => {
  await using program = await Program.start('setTimeout(() => undefined, 200);');
  const processes = await program.processes();
  expect(await program.exit).toEqual([0, null]);
  await expectNothingLeft(program, processes);
});

test('a program that fails keeps its exit code', async () => {
  await using program = await Program.start("setTimeout(() => { throw new Error('failed'); }, 200);");
  const processes = await program.processes();
  expect(await program.exit).toEqual([1, null]);
  await expectNothingLeft(program, processes);
});

test('disposing resolves once the servers have ended', async () => {
  await using program = await Program.start(
    "setTimeout(async () => { await servers[Symbol.asyncDispose](); console.log('disposed'); setInterval(() => undefined, 1000); }, 200);",
  );
  const processes = await program.processes();
  await once(program.child.stdout ?? program.child, 'data');
  expect(processes.filter(isRunning)).toEqual([]);
  expect(await readdir(program.folder)).toEqual([]);
});

test('a URL in the environment comes first, is printed, and its server is left running', async () => {
  const lines: string[] = [];
  await using own = await startServers({ sources: ['local'], print: () => undefined });
  process.env['REDIS_URL'] = own.redisUrl;
  process.env['POSTGRES_URL'] = own.postgresUrl;
  try {
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
  } finally {
    delete process.env['REDIS_URL'];
    delete process.env['POSTGRES_URL'];
  }
});

test('without a server the error says how to get one', async () => {
  const { PATH, REDIS_SERVER_BIN } = process.env;
  process.env['PATH'] = '/nonexistent';
  try {
    await expect(startServers({ sources: ['local'], print: () => undefined })).rejects.toThrow(
      /^No Redis: set REDIS_URL, or put redis-server or valkey-server, version 7 or newer, on the PATH/u,
    );
    process.env['REDIS_SERVER_BIN'] = '/bin/true';
    await expect(startServers({ sources: ['local'], print: () => undefined })).rejects.toThrow(
      'REDIS_SERVER_BIN=/bin/true is no Redis or Valkey of version 7 or newer',
    );
  } finally {
    process.env['PATH'] = PATH;
    if (REDIS_SERVER_BIN === undefined) delete process.env['REDIS_SERVER_BIN'];
    else process.env['REDIS_SERVER_BIN'] = REDIS_SERVER_BIN;
  }
});
