import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { startOnFreePort } from './free-port.ts';
import type { Supervisor, SupervisedProcess } from './supervisor.ts';

const oldestMajorVersion = 7;

export interface RedisServer {
  readonly port: number;
  readonly process: SupervisedProcess;
}

/**
 * A Redis or Valkey of at least version 7: `REDIS_SERVER_BIN`, else on the PATH, else where `./run` may
 * have put one. Undefined where there is none.
 */
export async function findRedisServer(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const named = env['REDIS_SERVER_BIN'];
  if (named !== undefined && named !== '') {
    if (await isNewEnough(named)) return named;
    throw new Error(
      `REDIS_SERVER_BIN=${named} is no Redis or Valkey of version ${oldestMajorVersion} or newer`,
    );
  }
  const ownFolder = fileURLToPath(new URL('../../../.toolchain/redis/bin', import.meta.url));
  const folders = [...(env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), ownFolder];
  for (const folder of folders) {
    for (const name of ['redis-server', 'valkey-server']) {
      const file = join(folder, name);
      if (await isNewEnough(file)) return file;
    }
  }
  return undefined;
}

export const howToGetRedis =
  'set REDIS_URL, or put redis-server or valkey-server, version 7 or newer, on the PATH ' +
  '(Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)';

async function isNewEnough(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
  } catch {
    return false;
  }
  try {
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: 5000 });
    return Number(/\bv=(\d+)\./.exec(stdout)?.[1] ?? 0) >= oldestMajorVersion;
  } catch {
    return false; // It does not run here: another one may.
  }
}

/**
 * Starts a Redis on 127.0.0.1 and waits until it answers. Nothing is ever evicted, as in production.
 * With `appendOnly` each write is on disk before it is answered, so a killed one loses nothing.
 */
export async function startRedisServer(
  supervisor: Supervisor,
  options: {
    readonly file: string;
    readonly port?: number;
    readonly appendOnly?: boolean;
    /** Of `redis.conf`, beside those below or against them. */
    readonly settings?: Readonly<Record<string, string>>;
  },
): Promise<RedisServer> {
  const { port } = options;
  if (port === undefined) {
    return await startOnFreePort((freePort) => startRedisServer(supervisor, { ...options, port: freePort }));
  }
  const settings: Readonly<Record<string, string>> = {
    bind: '127.0.0.1',
    port: String(port),
    dir: supervisor.folder,
    save: '',
    'maxmemory-policy': 'noeviction',
    appendonly: options.appendOnly === true ? 'yes' : 'no',
    appendfsync: 'always',
    ...options.settings,
  };
  const server = await supervisor.run({
    file: options.file,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    endSignal: 'SIGKILL',
  });
  const outcome = await eventually(
    async () => {
      const end = server.ended();
      if (end !== undefined) return end;
      return (await answers(port, server.pid)) ? 'answers' : undefined;
    },
    { timeoutMs: 20_000, intervalMs: 10 },
  );
  if (outcome !== 'answers') throw new Error(`redis-server ended with ${outcome.exit}:\n${outcome.output}`);
  return { port, process: server };
}

/**
 * Whether the Redis of that process id answers there; false while it still loads its data. The
 * process id, because another program may have taken the port in the same moment.
 */
async function answers(port: number, pid: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let reply = '';
    socket.setEncoding('utf8').setTimeout(1000);
    socket.once('connect', () => socket.write('INFO server\r\nPING\r\n'));
    socket.on('data', (text: string) => {
      reply += text;
      if (/^[+-][A-Z]+/m.test(reply)) resolve(reply);
    });
    socket.once('error', reject);
    socket.once('timeout', () => {
      reject(new Error('no answer to PING within 1 s'));
    });
    const text = await promise;
    return text.includes(`process_id:${pid}\r\n`) && text.includes('+PONG');
  } finally {
    socket.destroy();
  }
}
