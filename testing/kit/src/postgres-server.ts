import { randomBytes } from 'node:crypto';
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { startOnFreePort } from './free-port.ts';
import type { Supervisor, SupervisedProcess } from './supervisor.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';

/** Settings of `postgresql.conf`, by their names there. */
export type PostgresSettings = Readonly<Record<string, string>>;

/**
 * For tests: several times faster and safe against everything but a crash of the machine. A killed server loses no
 * committed data, since `synchronous_commit` stays on and hands it to the operating system.
 */
export const fastSettings: PostgresSettings = { fsync: 'off', full_page_writes: 'off' };

/** A data folder on which a server can be started repeatedly. */
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
 * Creates the data folder with a random password rather than `trust`: every user of the machine can connect to
 * 127.0.0.1, and a superuser of Postgres can run programs.
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
      // The same collation and messages on every machine.
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
      // Every connection computes the iterations, and this password lives for minutes.
      '--set=scram_iterations=1',
    ],
    user: binaries.user,
    endSignal: 'SIGKILL',
  });
  await rm(passwordFile);
  return { binaries, dataFolder, password };
}

/** Starts Postgres on 127.0.0.1 and waits until it accepts a connection. Durable unless the settings say otherwise. */
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
  const url = `postgres://postgres:${cluster.password}@127.0.0.1:${port}/postgres`;
  const { process } = await supervisor.runUntil(
    {
      file: join(cluster.binaries.folder, 'bin/postgres'),
      args: [
        '-D',
        cluster.dataFolder,
        ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      user: cluster.binaries.user,
      // Immediate shutdown without a checkpoint: the data is thrown away.
      endSignal: 'SIGQUIT',
    },
    () => connectOnce(url),
  );
  return { port, url, process };
}

/** Connects and runs one query; rejects if that fails. */
export async function connectOnce(url: string): Promise<true> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    await sql`select 1`;
    return true;
  } finally {
    await sql.end({ timeout: 0 });
  }
}
