import { asRole } from '@app/test-kit/as-role';
import { findFreePort } from '@app/test-kit/free-port';
import { startOwnPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, test, vi } from 'vitest';
import { DemoProcess } from './support/demo-process.ts';

vi.setConfig({ testTimeout: 60_000 });

/** What a demo on given servers that cannot be used writes to stderr. */
async function failureOf(env: NodeJS.ProcessEnv): Promise<string> {
  await using demo = await DemoProcess.start(['--for', '5s'], env);
  const { code } = await demo.exited;
  expect(code).toBe(1);
  expect(demo.stdout).toBe('');
  return demo.stderr;
}

test('a given server that does not answer ends the demo before anything starts, with what to do', async () => {
  const port = await findFreePort();
  expect(await failureOf({ REDIS_URL: `redis://:secret@127.0.0.1:${port}` })).toBe(
    `demo: the server of REDIS_URL cannot be used: connect ECONNREFUSED 127.0.0.1:${port}. Correct REDIS_URL, or unset it to start a server\n`,
  );
  expect(await failureOf({ POSTGRES_URL: `postgres://user:secret@127.0.0.1:${port}/live` })).toBe(
    `demo: the server of POSTGRES_URL cannot be used: connect ECONNREFUSED 127.0.0.1:${port}. Correct POSTGRES_URL, or unset it to start a server\n`,
  );
});

test('a role that may not create databases', async () => {
  await using own = await startOwnPostgres();
  const sql = postgres(own.url, { max: 1 });
  await sql`create role visitor login password 'of-this-test'`;
  await sql.end();
  expect(await failureOf({ POSTGRES_URL: asRole(own.url, 'visitor', 'of-this-test') })).toContain(
    'POSTGRES_URL cannot be used: the role visitor may not create databases',
  );
});
