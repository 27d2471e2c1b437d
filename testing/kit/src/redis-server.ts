import { connect } from 'node:net';
import { findProgram, readVersion } from './find-program.ts';
import { startOnFreePort } from './free-port.ts';
import type { Supervisor, SupervisedProcess } from './supervisor.ts';

const oldestMajorVersion = 7;

export interface RedisServer {
  readonly port: number;
  readonly process: SupervisedProcess;
}

/** `REDIS_SERVER_BIN`, else a Redis or Valkey of version 7 or newer on this machine; undefined if there is none. */
export async function findRedisServer(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const named = env['REDIS_SERVER_BIN'];
  if (named === undefined || named === '') {
    const names = ['redis-server', 'valkey-server'];
    return await findProgram(names, { accepts: isNewEnough, toolchain: 'redis', env });
  }
  if (isNewEnough((await readVersion(named)) ?? '')) return named;
  throw new Error(
    `REDIS_SERVER_BIN=${named} is no Redis or Valkey of version ${oldestMajorVersion} or newer`,
  );
}

export const howToGetRedis =
  'set REDIS_URL, or put redis-server or valkey-server, version 7 or newer, on the PATH ' +
  '(Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)';

function isNewEnough(versionOutput: string): boolean {
  return Number(/\bv=(\d+)\./.exec(versionOutput)?.[1] ?? 0) >= oldestMajorVersion;
}

/**
 * Starts a Redis on 127.0.0.1 and waits until it answers. It evicts nothing, as in production. With `appendOnly` each
 * write is on disk before it is answered, so that a kill loses nothing.
 */
export async function startRedisServer(
  supervisor: Supervisor,
  options: {
    readonly file: string;
    readonly port?: number;
    readonly appendOnly?: boolean;
    /** Settings of `redis.conf`; they override those below. */
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
  const { process } = await supervisor.runUntil(
    {
      file: options.file,
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      endSignal: 'SIGKILL',
    },
    (pid) => answers(port, pid),
  );
  return { port, process };
}

/** Whether the Redis with this process id answers on the port (another program may have taken it) and has loaded its data. */
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
