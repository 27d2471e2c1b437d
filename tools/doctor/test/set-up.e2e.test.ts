import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@app/test-kit/eventually';
import { findFreePort } from '@app/test-kit/free-port';
import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { startOwnPostgres } from '@app/test-kit/postgres';
import { startRedisWithUsers } from '@app/test-kit/redis-with-users';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openSetUp, stream, type SetUp } from './support/open-set-up.ts';

// Several start servers or the program.
vi.setConfig({ testTimeout: 120_000 });

let setUp: SetUp;
beforeAll(async () => {
  setUp = await openSetUp();
});
afterAll(() => setUp[Symbol.asyncDispose]());

test('a set-up without a fault passes, on one screen', async () => {
  const { code, stdout } = await setUp.run([]);
  expect({ code, failed: stdout.split('\n').filter((line) => line.includes('FAILED')) }).toEqual({
    code: 0,
    failed: [],
  });
  expect(stdout).toMatch(/\d+ ok, \d+ notes?, 0 failed\n$/u);
  expect(stdout).toContain(' 1 consumer\n');
  expect(stdout.split('\n').length).toBeLessThan(50);
});

describe('Redis', () => {
  test('that does not answer is one failed line, and the other servers are still checked', async () => {
    const REDIS_URL = `redis://:secret@127.0.0.1:${await findFreePort()}`;
    const { code, stdout, stderr } = await setUp.run([], { REDIS_URL });
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAILED +reachable +REDIS_URL: connect ECONNREFUSED.*\n +→ Start the server/u);
    expect(stdout).toMatch(/ok +migrations/u);
    expect(stdout).toMatch(/, 1 failed\n$/u);
    expect(stdout + stderr).not.toContain('secret');
  });

  test.for([
    ['maxmemory-policy', 'allkeys-lru', 'noeviction', 'maxmemory-policy: allkeys-lru'],
    ['appendonly', 'no', 'yes', 'persistence: no append-only file'],
    ['maxmemory', '1mb', '0', 'memory: '],
  ] as const)('with %s %s', async ([name, wrong, right, failure]) => {
    await setUp.redis.config('SET', name, wrong);
    onTestFinished(async () => void (await setUp.redis.config('SET', name, right)));
    expect((await setUp.examine()).failures).toEqual([expect.stringContaining(failure)]);
  });

  test('whose folder cannot be written', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'doctor-'));
    await using own = await openSetUp({ dir });
    await rm(dir, { recursive: true });
    await own.redis.bgsave();
    await eventually(async () =>
      (await own.redis.info('persistence')).includes('rdb_last_bgsave_status:err'),
    );
    expect((await own.examine()).failures).toEqual([
      expect.stringContaining('persistence: rdb_last_bgsave_status: err'),
    ]);
  });

  test('that is a replica', async () => {
    await using own = await openSetUp();
    await own.redis.replicaof('127.0.0.1', 1);
    expect((await own.examine()).failures).toContainEqual(expect.stringContaining('role: slave'));
  });

  test('whose users lack a command or a key of users.sh', async () => {
    await using server = await startRedisWithUsers();
    const redis = new Redis(server.urlOf('admin'));
    onTestFinished(() => redis.disconnect());
    const usersOf = async (login: 'admin' | 'processor') => {
      const { findings } = await setUp.examine({ REDIS_URL: server.urlOf(login) });
      return findings.filter(({ check }) => check.startsWith('user'));
    };
    expect(await usersOf('admin')).toMatchObject([
      { level: 'ok', check: 'user ingestion' },
      { level: 'ok', check: 'user processor' },
      { level: 'ok', check: 'user live-gateway' },
    ]);
    await redis.call('ACL', 'SETUSER', 'processor', '-xack');
    await redis.call('ACL', 'SETUSER', 'live-gateway', 'clearselectors', 'resetkeys', '%R~other');
    await redis.call('ACL', 'DELUSER', 'ingestion');
    expect(await usersOf('admin')).toMatchObject([
      { level: 'note', check: 'user ingestion', found: 'does not exist' },
      { level: 'failed', check: 'user processor', found: 'may not run xack on telemetry:test' },
      {
        level: 'failed',
        check: 'user live-gateway',
        found: expect.stringMatching(/xinfo\|stream on telemetry:test,.* xrevrange on results:\*/u),
      },
    ]);
    expect(await usersOf('processor')).toMatchObject([{ level: 'note', check: 'users' }]);
  });
});

/** Examines another stream, which `prepare` makes. */
async function examineStream(
  prepare: (redis: Redis, name: string) => Promise<unknown>,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const name = `telemetry:${randomUUID()}`;
  await prepare(setUp.redis, name);
  return (await setUp.examine({ REDIS_TELEMETRY_STREAM: name, ...env })).failures;
}

async function createGroup(redis: Redis, name: string): Promise<void> {
  await redis.xgroup('CREATE', name, 'processor', '0', 'MKSTREAM');
}

describe('streams', () => {
  test('a stream that is missing, or is none', async () => {
    expect(await examineStream(async () => undefined)).toEqual([
      expect.stringMatching(/^telemetry:\S+: does not exist/u),
    ]);
    expect(await examineStream((redis, name) => redis.set(name, 'x'))).toEqual([
      expect.stringContaining('is a string, not a stream'),
    ]);
  });

  test('a group that is missing', async () => {
    expect(await examineStream((redis, name) => redis.xadd(name, '*', 'a', 'b'))).toEqual([
      expect.stringContaining('consumer group: processor is missing'),
    ]);
  });

  test('a group ahead of its stream', async () => {
    const failures = await examineStream(async (redis, name) => {
      await createGroup(redis, name);
      await redis.xadd(name, '*', 'a', 'b');
      await redis.call('XGROUP', 'SETID', name, 'processor', '9999999999999-0');
    });
    expect(failures).toEqual([expect.stringContaining('consumer group: processor is ahead of its stream')]);
  });

  test('a group that nobody reads, and that is behind', async () => {
    const failures = await examineStream(async (redis, name) => {
      await createGroup(redis, name);
      await redis.xadd(name, `${Date.now() - 3_600_000}-0`, 'a', 'b');
    });
    expect(failures).toEqual([
      expect.stringMatching(
        /^lag: 60 min behind, 0 entries pending, 0 consumers, none reading → Start the processor/u,
      ),
    ]);
  });

  test('dead letters at their limit', async () => {
    const failures = await examineStream(
      async (redis, name) => {
        await createGroup(redis, name);
        await redis.xadd(`${name}:dlq`, '*', 'a', 'b');
      },
      { DLQ_MAX_LENGTH: '1' },
    );
    expect(failures).toEqual([expect.stringContaining('dead letters: 1 of at most 1')]);
  });
});

/** Clients that take the server connections of a pooler in turns. */
function openOthers(url: string) {
  const sql = postgres(url, { max: 6, prepare: false, fetch_types: false, connection: {} });
  const stopping = new AbortController();
  const working = Promise.all(
    Array.from({ length: 6 }, async () => {
      while (!stopping.signal.aborted) await sql.unsafe('select pg_sleep(random() * 0.01)').simple();
    }),
  );
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await working;
      await sql.end();
    },
  };
}

describe('Postgres', () => {
  test('that does not answer, or refuses the login', async () => {
    const url = new URL(setUp.env['POSTGRES_URL'] ?? '');
    url.password = 'wrong-password';
    const refused = await setUp.run([], { POSTGRES_URL: url.href });
    expect(refused.stdout).toMatch(/FAILED +reachable +POSTGRES_URL: password authentication/u);
    expect(refused.stdout + refused.stderr).not.toContain('wrong-password');
    url.port = String(await findFreePort());
    const { failures, findings } = await setUp.examine({ POSTGRES_URL: url.href });
    expect(failures).toEqual([expect.stringMatching(/^reachable: POSTGRES_URL: .*ECONNREFUSED/u)]);
    expect(findings).toContainEqual({
      level: 'ok',
      check: 'events without login',
      found: expect.any(String),
    });
    expect(findings).toContainEqual({
      level: 'note',
      check: 'collections',
      found: 'not known: Postgres does not answer',
    });
  });

  test('behind PgBouncer in transaction mode while others use it', async () => {
    const direct = await setUp.examine();
    await using pooler = await startPgBouncer({
      target: setUp.env['POSTGRES_URL'] ?? '',
      poolMode: 'transaction',
      settings: { default_pool_size: '10' },
    });
    await using _others = openOthers(pooler.url);
    for (let n = 0; n < 5; n += 1) {
      expect((await setUp.examine({ POSTGRES_URL: pooler.url })).failures).toEqual(direct.failures);
    }
  });

  test('without migrations, roles and collections', async () => {
    await using server = await startOwnPostgres();
    expect((await setUp.examine({ POSTGRES_URL: server.url })).failures).toEqual([
      expect.stringMatching(/^migrations: not applied: 0001_positions, .* → \.\/run migrate$/u),
      expect.stringContaining('tracking_processor: does not exist'),
      expect.stringContaining('tracking_gateway: does not exist'),
      expect.stringMatching(
        /^collections: the database at POSTGRES_URL lacks .* → \.\/run directus-setup, then \.\/run migrate/u,
      ),
    ]);
  });

  test('with rights, columns and writes taken away', async () => {
    await using own = await openSetUp();
    await own.sql`revoke insert on positions from tracking_processor`;
    await own.sql`revoke select on positions_past_limit from tracking_processor`;
    await own.sql`revoke execute on function drop_old_chunks(interval, integer) from tracking_pruner`;
    await own.sql`revoke select (imei) on devices from tracking_gateway`;
    await own.sql`alter table entries drop column event_id cascade`;
    await own.sql`alter table events drop column id cascade`;
    await own.sql`alter table events add column id serial`;
    await own.sql`delete from pgmigrations where name = '0004_least_rights'`;
    await own.sql.unsafe(`alter database ${own.sql.options.database} set default_transaction_read_only = on`);
    expect((await own.examine()).failures).toEqual([
      expect.stringContaining('role: read-only'),
      expect.stringContaining('migrations: not applied: 0004_least_rights'),
      'tracking_processor: lacks insert on positions, select on positions_past_limit → As the owner of each table: grant insert on positions to tracking_processor; grant select on positions_past_limit to tracking_processor',
      expect.stringMatching(
        /^tracking_gateway: lacks .*select \(imei\) on devices.* → As the owner of .*: .*grant select \(imei\) on devices to tracking_gateway/u,
      ),
      'tracking_pruner: may not execute 1 of its functions → As their owner: select grant_prune_rights()',
      expect.stringContaining('collections: the database at POSTGRES_URL lacks entries.event_id'),
      expect.stringContaining('events.id: is integer: topics need a UUID'),
    ]);
  });

  test('with migrations of a newer version is no failure', async () => {
    await using own = await openSetUp();
    await own.sql`insert into pgmigrations (name, run_on) values ('9999_newer', now())`;
    const { failures, findings } = await own.examine();
    expect(failures).toEqual([]);
    expect(findings).toContainEqual(
      expect.objectContaining({ level: 'note', found: expect.stringMatching(/and 1 of a newer version$/u) }),
    );
  });
});

describe('Directus', () => {
  test.for([
    ['refuse', /^reachable: http:\S+: no answer \(connect ECONNREFUSED/u],
    ['page', /^events without login: HTTP 200/u],
    ['503', /^reachable: http:\S+: HTTP 503 SERVICE_UNAVAILABLE/u],
    ['500', /^events without login: HTTP 500/u],
    ['429', /^events without login: HTTP 429 REQUESTS_EXCEEDED/u],
    ['unlicensed', /^events without login: HTTP 403 RESOURCE_RESTRICTED/u],
  ] as const)('%s', async ([mode, failure]) => {
    setUp.directus.misbehave(mode);
    onTestFinished(() => setUp.directus.misbehave('ok'));
    expect((await setUp.examine()).failures).toContainEqual(expect.stringMatching(failure));
  });

  test('something else at its address', async () => {
    const server = createServer((_, response) => response.end('nginx'));
    onTestFinished(() => void server.close());
    server.listen(await findFreePort(), '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    expect((await setUp.examine({ DIRECTUS_BASE_URL: `http://127.0.0.1:${port}` })).failures).toContainEqual(
      expect.stringContaining('something else than Directus answers'),
    );
  });
});

test('clocks that differ from this machine', async () => {
  const now = Date.now;
  Date.now = () => now() + 3_600_000;
  onTestFinished(() => void (Date.now = now));
  const { failures } = await setUp.examine();
  expect(failures).toEqual([
    expect.stringMatching(/^Redis: 3\d{3}\.\d s behind this machine/u),
    expect.stringMatching(/^Postgres: 3\d{3}\.\d s behind this machine/u),
    expect.stringMatching(/^Directus: 3\d{3}\.\d s behind this machine/u),
  ]);
});

test('nothing is written', async () => {
  const state = async () => [
    await setUp.redis.keys('*'),
    await setUp.redis.xinfo('STREAM', stream),
    await setUp.redis.xinfo('GROUPS', stream),
    await setUp.sql`select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables order by 1`,
  ];
  const before = await state();
  const visitor = { credentials: {}, email: undefined };
  await setUp.examine();
  await setUp.explain({ eventId: setUp.eventId, origin: undefined, visitor });
  expect(await state()).toEqual(before);
});
