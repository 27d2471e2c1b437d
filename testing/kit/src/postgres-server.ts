import { randomBytes } from 'node:crypto';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { eventually } from './eventually.ts';
import { startOnFreePort } from './free-port.ts';
import type { Supervisor, SupervisedProcess } from './supervisor.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';

/** Settings of `postgresql.conf`, by their names there. */
export type PostgresSettings = Readonly<Record<string, string>>;

/**
 * Several times faster, and safe against everything but a crash of the machine. A killed server loses nothing
 * that it committed: `synchronous_commit` stays on, so that it is with the operating system by then. For tests; a
 * benchmark wants it durable.
 */
export const fastSettings: PostgresSettings = { fsync: 'off', full_page_writes: 'off' };

/** A data folder, made once, that a server can be started on again and again. */
export interface PostgresCluster {
  readonly binaries: PostgresBinaries;
  readonly dataFolder: string;
  readonly password: string;
}

export interface PostgresServer {
  readonly port: number;
  /** As the superuser `postgres`, to the database `postgres`. */
  readonly url: string;
  readonly process: SupervisedProcess;
}

/**
 * Makes the data folder. A password, new each time, rather than `trust`: the port of 127.0.0.1 is open to every
 * user of the machine, and a superuser of Postgres can run programs.
 */
export async function createPostgresCluster(
  supervisor: Supervisor,
  knownBinaries?: PostgresBinaries,
): Promise<PostgresCluster> {
  const binaries = knownBinaries ?? (await findPostgresBinaries(supervisor));
  const dataFolder = join(supervisor.folder, 'postgres-data');
  const passwordFile = join(supervisor.folder, 'postgres-password');
  const password = randomBytes(12).toString('hex');
  await mkdir(dataFolder, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (binaries.user !== undefined) {
    for (const path of [dataFolder, passwordFile]) await chown(path, binaries.user.uid, binaries.user.gid);
  }
  await supervisor.runToEnd({
    file: join(binaries.folder, 'bin/initdb'),
    args: [
      `--pgdata=${dataFolder}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      // The same order of texts and the same messages on every machine.
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
      // Each connection pays for the rounds, and this password lives for minutes.
      '--set=scram_iterations=1',
    ],
    user: binaries.user,
    endSignal: 'SIGKILL',
  });
  await rm(passwordFile);
  return { binaries, dataFolder, password };
}

/** Starts Postgres on 127.0.0.1 and waits until it takes a connection. Durable unless the settings say otherwise. */
export async function startPostgresServer(
  supervisor: Supervisor,
  cluster: PostgresCluster,
  options: { readonly port?: number; readonly settings?: PostgresSettings } = {},
): Promise<PostgresServer> {
  const { port } = options;
  if (port === undefined) {
    return await startOnFreePort((freePort) =>
      startPostgresServer(supervisor, cluster, { ...options, port: freePort }),
    );
  }
  const settings: PostgresSettings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    timezone: 'UTC',
    ...options.settings,
  };
  const server = await supervisor.run({
    file: join(cluster.binaries.folder, 'bin/postgres'),
    args: [
      '-D',
      cluster.dataFolder,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    user: cluster.binaries.user,
    // At once and without a checkpoint: what it leaves is thrown away.
    endSignal: 'SIGQUIT',
  });
  const url = `postgres://postgres:${cluster.password}@127.0.0.1:${port}/postgres`;
  const outcome = await eventually(
    async () => {
      const end = server.ended();
      if (end !== undefined) return end;
      await connectOnce(url);
      return 'answers' as const;
    },
    { timeoutMs: 30_000, intervalMs: 10 },
  );
  if (outcome !== 'answers') throw new Error(`postgres ended with ${outcome.exit}:\n${outcome.output}`);
  return { port, url, process: server };
}

/** Connects and asks for one row; rejects where that fails. */
export async function connectOnce(url: string): Promise<true> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    await sql`select 1`;
    return true;
  } finally {
    await sql.end({ timeout: 0 });
  }
}
