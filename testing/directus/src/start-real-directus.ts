import { randomBytes } from 'node:crypto';
import { findFreePort } from '@app/test-kit/free-port';
import { OwnServer } from '@app/test-kit/own-server';
import { startSupervisor } from '@app/test-kit/supervisor';
import { cliOf, folderOf, type DirectusVersion } from './versions.ts';

const startTimeoutMs = 180_000;

export interface RealDirectus extends AsyncDisposable {
  readonly url: string;
  /** A static token of the administrator. */
  readonly adminToken: string;
  /** Signs sessions. */
  readonly secret: string;
  /** Ends it and starts it again, with these settings besides its own. */
  restart(settings?: Settings): Promise<void>;
  /** SIGSTOP. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

type Settings = Readonly<Record<string, string>>;

/** Creates the tables of Directus in an empty database, and starts it on 127.0.0.1. */
export async function startRealDirectus(
  version: DirectusVersion,
  postgresUrl: string,
): Promise<RealDirectus> {
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  const port = await findFreePort();
  const [adminToken, secret] = [randomBytes(16).toString('hex'), randomBytes(32).toString('hex')];
  const database = new URL(postgresUrl);
  const ownSettings: Settings = {
    HOST: '127.0.0.1',
    PORT: String(port),
    SECRET: secret,
    DB_CLIENT: 'pg',
    DB_HOST: database.hostname,
    DB_PORT: database.port,
    DB_USER: decodeURIComponent(database.username),
    DB_PASSWORD: decodeURIComponent(database.password),
    DB_DATABASE: database.pathname.slice(1),
    ADMIN_EMAIL: 'admin@example.org',
    ADMIN_PASSWORD: randomBytes(16).toString('hex'),
    ADMIN_TOKEN: adminToken,
    LOG_LEVEL: 'warn',
    TELEMETRY: 'false',
    // It answers 503 where other tests take the processor, which is not what is tested.
    PRESSURE_LIMITER_ENABLED: 'false',
  };
  let moreSettings: Settings = {};
  const command = (word: string) => ({
    file: '/usr/bin/env',
    args: [
      `--chdir=${folderOf(version)}`,
      ...Object.entries({ ...ownSettings, ...moreSettings }).map(([name, value]) => `${name}=${value}`),
      process.execPath,
      cliOf(version),
      word,
    ],
    endSignal: 'SIGKILL' as const,
  });
  const url = `http://127.0.0.1:${port}`;
  const probe = async () => {
    const response = await fetch(`${url}/server/ping`, { signal: AbortSignal.timeout(5_000) });
    return response.ok && url;
  };
  const launch = async () => (await supervisor.runUntil(command('start'), probe, startTimeoutMs)).process;
  await supervisor.runToEnd(command('bootstrap'));
  const server = new OwnServer({
    url,
    process: await launch(),
    relaunch: launch,
    stopSignal: 'SIGTERM',
    resources: stack.move(),
  });
  return {
    url,
    adminToken,
    secret,
    restart: async (settings = {}) => {
      await server.stop();
      moreSettings = settings;
      await server.start();
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
