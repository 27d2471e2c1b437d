import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findFreePort } from '@app/test-kit/free-port';
import { startPostgres } from '@app/test-kit/postgres';
import { expect, test } from 'vitest';

interface Run {
  readonly exitCode: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

async function runMain(env: NodeJS.ProcessEnv): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  execFile(
    process.execPath,
    [main],
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

test('accepts the URL from a file', async () => {
  await using database = await startPostgres({ empty: true });
  const folder = await mkdtemp(join(tmpdir(), 'migrate-'));
  try {
    await writeFile(join(folder, 'url'), `${database.url}\n`);
    expect(await runMain({ POSTGRES_URL_FILE: join(folder, 'url') })).toMatchObject({
      exitCode: 0,
      stderr: '',
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
