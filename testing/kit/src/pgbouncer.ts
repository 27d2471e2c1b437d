import { chown, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { findProgram } from './find-program.ts';
import { startOnFreePort } from './free-port.ts';
import { findUnprivilegedUser } from './postgres-binaries.ts';
import { startSupervisor } from './supervisor.ts';

export interface PgBouncer extends AsyncDisposable {
  /** The URL of the same database, through the pooler. */
  readonly url: string;
}

export interface PgBouncerOptions {
  /** URL of the database behind it; the only one that it knows. */
  readonly target: string;
  readonly poolMode: 'session' | 'transaction';
  /** Settings of `pgbouncer.ini`, by their names there, that are not the defaults. */
  readonly settings?: Readonly<Record<string, string>>;
}

const howToGetPgBouncer =
  'a test needs PgBouncer on the PATH (Debian, Ubuntu: apt-get install pgbouncer; on Debian ./run test fetches it)';

/** A real PgBouncer in front of one database. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const file = await findProgram(['pgbouncer'], {
    accepts: (output) => output.includes('PgBouncer'),
    toolchain: 'pgbouncer',
    // Debian installs it where only root's PATH looks.
    folders: ['/usr/sbin'],
  });
  if (file === undefined) throw new Error(howToGetPgBouncer);
  await using stack = new AsyncDisposableStack();
  const supervisor = stack.use(await startSupervisor());
  // PgBouncer refuses to run as root.
  const user = process.getuid?.() === 0 ? await findUnprivilegedUser() : undefined;
  const target = new URL(options.target);
  const configFile = join(supervisor.folder, 'pgbouncer.ini');
  const usersFile = join(supervisor.folder, 'users.txt');
  const writePrivate = async (path: string, content: string): Promise<void> => {
    await writeFile(path, content, { mode: 0o600 });
    if (user !== undefined) await chown(path, user.uid, user.gid);
  };
  await writePrivate(usersFile, `"${target.username}" "${decodeURIComponent(target.password)}"\n`);
  const port = await startOnFreePort(async (freePort) => {
    await writePrivate(configFile, configuration(target, usersFile, freePort, options));
    await supervisor.runUntil(
      {
        file,
        args: [...(user === undefined ? [] : ['-u', user.name]), configFile],
        endSignal: 'SIGKILL',
      },
      () => accepts(freePort),
    );
    return freePort;
  });
  const url = new URL(options.target);
  url.port = String(port);
  const running = stack.move();
  return { url: url.href, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

function configuration(
  target: URL,
  usersFile: string,
  port: number,
  { poolMode, settings }: PgBouncerOptions,
): string {
  const database = target.pathname.slice(1);
  const lines = Object.entries({
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'md5',
    auth_file: usersFile,
    pool_mode: poolMode,
    ...settings,
  }).map(([name, value]) => `${name} = ${value}`);
  return [
    '[databases]',
    `${database} = host=${target.hostname} port=${target.port} dbname=${database}`,
    '[pgbouncer]',
    ...lines,
    '',
  ].join('\n');
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
