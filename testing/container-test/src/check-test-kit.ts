import assert from 'node:assert/strict';
import { migrate } from '@app/migrate/migrate';
import { onServer } from '@app/test-kit/database';
import { startTestServers } from '@app/test-kit/test-servers';
import { Redis } from 'ioredis';
import { docker } from './docker.ts';

/** The test kit can start its servers in containers and removes them. */
export async function checkTestKit(): Promise<void> {
  const before = await listContainers();
  {
    await using servers = await startTestServers({ migrate, sources: ['container'], print: () => undefined });
    assert.match(servers.redisFrom, /^container redis:/u);
    assert.match(servers.postgresFrom, /^container postgres:/u);
    assert.equal((await listContainers()).length, before.length + 2);
    await checkRedis(servers.redisUrl);
    await checkPostgres(servers.postgresUrl, servers.addresses.templateDatabase);
    for (const url of [servers.redisUrl, servers.postgresUrl])
      assert.equal(new URL(url).hostname, '127.0.0.1');
  }
  assert.deepEqual(await listContainers(), before, 'test containers were not removed');
}

async function checkRedis(url: string): Promise<void> {
  const redis = new Redis(url, { retryStrategy: null });
  try {
    const id = await redis.xadd('a-stream', '*', 'field', 'value');
    assert.deepEqual(await redis.xrange('a-stream', '-', '+'), [[id, ['field', 'value']]]);
  } finally {
    redis.disconnect();
  }
}

async function checkPostgres(url: string, template: string): Promise<void> {
  await onServer(url, async (sql) => {
    const [found] = await sql<{ version: number }[]>`
      select current_setting('server_version_num')::int as version
      from pg_database where datname = ${template} and not datallowconn`;
    assert.ok((found?.version ?? 0) >= 170_000, 'the migrated template database is missing');
  });
}

async function listContainers(): Promise<readonly string[]> {
  const list = await docker(['ps', '--all', '--quiet', '--no-trunc']);
  return list
    .split('\n')
    .filter((id) => id !== '')
    .toSorted();
}
