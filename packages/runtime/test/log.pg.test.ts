import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { expect, test } from 'vitest';
import { captureLog } from './capture-log.ts';
import { closeRedis, connectRedis } from '../src/redis.ts';
import { connectPostgres, endPostgres } from '../src/postgres.ts';

const latitude = 48.208174;
const imei = '356307042441013';

async function rejectionOf(work: PromiseLike<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) {
      return error;
    }
  }
  throw new Error('expected a rejection with an Error');
}

function logged(error: Error): string {
  const { log, lines } = captureLog();
  log.error(error);
  log.error({ error }, 'insert failed');
  log.error(
    { cause: new Error('insert failed', { cause: error }), outcomes: [{ reason: error }] },
    'insert failed',
  );
  log.child({ error }).error('insert failed');
  expect(lines).toHaveLength(4);
  return lines.join('');
}

test('an error of Postgres adds no position to the log', async () => {
  await using database = await startPostgres();
  const { log } = captureLog();
  const sql = connectPostgres(database.url, {
    name: 'test',
    log,
    maxConnections: 1,
    statementTimeoutMs: 5_000,
  });
  await sql`create temporary table fixes (device_id text primary key, latitude real check (latitude < 1), place jsonb)`;
  const errors = [
    // Detail: «Failing row contains (…)».
    await rejectionOf(sql`insert into fixes values (${imei}, ${latitude}, null)`),
    // Message: «invalid input syntax for type real: "…"».
    await rejectionOf(sql`insert into fixes values (${imei}, ${`${latitude}N`}::text::real, null)`),
    // Detail and where: the JSON.
    await rejectionOf(sql`insert into fixes values (${imei}, null, ${`{"lat":${latitude},}`}::text::jsonb)`),
    // Detail: «Key (device_id)=(…) already exists».
    await rejectionOf(sql`insert into fixes select ${imei}::text, null, null from generate_series(1, 2)`),
    // Only parameters.
    await rejectionOf(sql`insert into nothing values (${imei}, ${latitude})`),
  ];
  await endPostgres(sql);
  for (const error of errors) {
    const everything = JSON.stringify(
      Object.fromEntries(Object.getOwnPropertyNames(error).map((key) => [key, Reflect.get(error, key)])),
    );
    expect(everything).toMatch(/48\.20817|356307042441013/u);
    const line = logged(error);
    expect(line).not.toMatch(/48\.20817|356307042441013/u);
    expect(line).toContain(Reflect.get(error, 'code'));
  }
});

test('an error of Redis adds no position to the log', async () => {
  const { url, keyPrefix } = await startRedis();
  const { log } = captureLog();
  const redis = connectRedis(url, { name: 'test', log });
  await redis.set(`${keyPrefix}text`, 'not a stream');
  const payload = JSON.stringify({ device_id: imei, latitude });
  const error = await rejectionOf(redis.xadd(`${keyPrefix}text`, '*', 'payload', payload));
  await redis.del(`${keyPrefix}text`);
  await closeRedis(redis);
  expect(JSON.stringify(error)).toContain('48.208174');
  const line = logged(error);
  expect(line).toContain('WRONGTYPE');
  expect(line).not.toMatch(/48\.20817|356307042441013/u);
});
