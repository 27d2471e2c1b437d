import { execFile } from 'node:child_process';
import { chmod, mkdtemp, mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCertificates } from '@app/test-kit/certificates';
import { createDirectusTables } from '@app/test-kit/directus-tables';
import { findFreePort } from '@app/test-kit/free-port';
import { startOwnPostgres, startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test } from 'vitest';

interface Run {
  readonly exitCode: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

async function runMain(env: NodeJS.ProcessEnv, args: readonly string[] = []): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  execFile(
    process.execPath,
    [main, ...args],
    { env: { PATH: process.env['PATH'], ...env } },
    (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr });
    },
  );
  return await promise;
}

test('of two concurrent processes one prints what it applied, the other that the database is up to date', async () => {
  await using database = await startPostgres({ empty: true });
  const env = { POSTGRES_URL: database.url };
  const runs = await Promise.all([runMain(env), runMain(env)]);
  expect(runs.map((run) => run.exitCode)).toEqual([0, 0]);
  const outputs = runs.map((run) => run.stdout);
  expect(outputs).toContain('up to date\n');
  expect(outputs).toContainEqual(
    expect.stringMatching(/^applied 0001_positions\n(applied .*\n)+\d+ applied\n$/u),
  );
});

test("says which of Directus' tables are missing, until they exist", async () => {
  await using database = await startPostgres({ empty: true });
  const env = { POSTGRES_URL: database.url };
  expect((await runMain(env)).stderr).toBe(
    "Directus' tables do not exist yet (events, entries, entry_devices, devices, directus_users): the gateway may not read them. Run this again after they do\n",
  );
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  await createDirectusTables(sql);
  await sql.end();
  expect(await runMain(env)).toEqual({ exitCode: 0, stdout: 'up to date\n', stderr: '' });
});

test('--help and a wrong argument neither connect nor migrate', async () => {
  await using database = await startPostgres({ empty: true });
  const env = { POSTGRES_URL: database.url };
  const help = { exitCode: 0, stdout: expect.stringMatching(/^usage: /u) };
  expect(await runMain(env, ['--help'])).toMatchObject(help);
  expect(await runMain(env, ['--dry-run'])).toMatchObject({
    exitCode: 2,
    stdout: '',
    stderr: expect.stringMatching(/^migrate: Unknown option '--dry-run'/u),
  });
  expect(await runMain(env, ['up'])).toMatchObject({ exitCode: 2, stdout: '' });
  const sql = postgres(database.url, { max: 1 });
  expect(await sql`select to_regclass('positions') as positions`).toEqual([{ positions: null }]);
  await sql.end();
});

test('accepts the URL from a file', async () => {
  await using database = await startPostgres({ empty: true });
  const folder = await mkdtemp(join(tmpdir(), 'migrate-'));
  try {
    await writeFile(join(folder, 'url'), `${database.url}\n`);
    expect(await runMain({ POSTGRES_URL_FILE: join(folder, 'url') })).toMatchObject({
      exitCode: 0,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('exits with 78 for a missing or malformed URL', async () => {
  expect(await runMain({})).toMatchObject({
    exitCode: 78,
    stderr: expect.stringContaining('POSTGRES_URL is not set'),
  });
  expect(await runMain({ POSTGRES_URL: 'mysql://user:secret@host/live' })).toMatchObject({
    exitCode: 78,
    stderr: expect.not.stringContaining('secret'),
  });
});

test('exits with 78 and the name of a parameter that it does not understand', async () => {
  const url = 'postgres://user:secret@host/live?sslmode=require&channel_binding=require';
  expect(await runMain({ POSTGRES_URL: url })).toMatchObject({
    exitCode: 78,
    stderr: expect.stringMatching(/POSTGRES_URL has a channel_binding other than prefer and disable/u),
  });
});

test('verifies the server by sslrootcert, and by NODE_EXTRA_CA_CERTS', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'certificates-'));
  // Postgres may run as another user.
  await chmod(folder.path, 0o755);
  const { ca, server, serverKey } = await createCertificates(folder.path);
  const settings = { ssl: 'on', ssl_cert_file: server, ssl_key_file: serverKey };
  await using own = await startOwnPostgres({ settings });
  const url = `${own.url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full`;
  expect(await runMain({ POSTGRES_URL: url })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('certificate'),
  });
  const withFile = `${url}&sslnegotiation=direct&sslrootcert=${encodeURIComponent(ca)}`;
  expect(await runMain({ POSTGRES_URL: withFile })).toMatchObject({ exitCode: 0 });
  expect(await runMain({ POSTGRES_URL: url, NODE_EXTRA_CA_CERTS: ca })).toMatchObject({ exitCode: 0 });
  const required = `${own.url}?sslmode=require`;
  expect(await runMain({ POSTGRES_URL: required })).toMatchObject({ exitCode: 0 });
});

test('exits with 1 and without the password if Postgres refuses the connection', async () => {
  await using database = await startPostgres({ empty: true });
  const url = new URL(database.url);
  url.pathname = '/missing';
  url.password = 'secret';
  const run = await runMain({ POSTGRES_URL: url.href });
  expect(run).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/^migrate: Postgres refused the connection: /u),
  });
  expect(run.stderr).not.toContain('secret');
});

test('SIGTERM stops it at once, even while it waits', async () => {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const { promise, resolve } = Promise.withResolvers<Run>();
  const child = execFile(
    process.execPath,
    [main],
    { env: { PATH: process.env['PATH'], POSTGRES_URL: `postgres://127.0.0.1:${await findFreePort()}/live` } },
    (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr });
    },
  );
  // Once it reports that it waits, its signal handler is installed.
  child.stderr?.once('data', () => child.kill('SIGTERM'));
  const run = await promise;
  expect(run).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('stopped by SIGTERM') });
});
