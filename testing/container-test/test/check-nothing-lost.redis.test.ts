import { makeBigRace } from '@app/demo/big-race';
import type { TimedRecord } from '@app/fleet-sim/timed-record';
import { encodeDeadLetter } from '@app/processor/stream/dead-letter';
import { decodeEntries } from '@app/processor/pipeline/decode-entries';
import { insertPositions } from '@app/processor/store/insert-positions';
import { encodeFields } from '@app/shared/entry';
import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { checkNothingLost } from '../src/check-nothing-lost.ts';

test('the check passes for stored records and fails for each kind of loss or change', async () => {
  await using servers = await startRedis();
  await using database = await startPostgres();
  await using stack = new AsyncDisposableStack();
  const redis = stack.adopt(new Redis(servers.url), (client) => client.disconnect());
  const sql = stack.adopt(postgres(database.url, { max: 2 }), (client) => client.end());
  const stream = `${servers.keyPrefix}telemetry`;
  const { sendings, good, bad } = makeBigRace({ records: 400, badShare: 0.05, seed: 3 });
  const check = () => checkNothingLost({ redis, sql, stream, sent: sendings, drainTimeoutMs: 2_000 });
  const store = async (stored: readonly TimedRecord[]): Promise<void> => {
    const entries = stored.map(({ record }) => ({
      id: `${Date.now()}-0`,
      fields: bytes(encodeFields(record)),
      deliveries: 1,
    }));
    await insertPositions(
      sql,
      decodeEntries(entries, {
        futureFlagMs: 120_000,
        futureLimitMs: Infinity,
        pastLimitMs: Infinity,
      }).fixes,
    );
  };
  const addDeadLetter = async (fields: readonly (string | Buffer)[]): Promise<string> => {
    const rejected = {
      entry: { id: '5-1', fields: bytes(fields), deliveries: 1 },
      reason: 'bad',
      detail: '',
    };
    return (await redis.xadd(`${stream}:dlq`, '*', ...encodeDeadLetter(rejected, 'c', 'then'))) ?? '';
  };

  // Unread, then pending, then acknowledged.
  const id = (await redis.xadd(stream, '*', 'field', 'value')) ?? '';
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await expect(check()).rejects.toThrow('lag: 1');
  await redis.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', stream, '>');
  await expect(check()).rejects.toThrow('pending: 1');
  await redis.xack(stream, 'processor', id);

  const [first] = good;
  if (first === undefined) throw new Error('the race has no records');
  const { deviceId, fixAtMs } = first.record.position;
  const key = `${deviceId} ${fixAtMs}`;
  await store(good.filter(({ record: { position } }) => `${position.deviceId} ${position.fixAtMs}` !== key));
  await expect(check()).rejects.toThrow(`records not stored (1): ${key}`);
  await store([first]);

  await expect(check()).rejects.toThrow(`corrupt records without a dead letter (${bad.length})`);
  for (const {
    bad: { fields },
  } of bad)
    await addDeadLetter(fields);
  // A repeated dead letter, as after a kill, is accepted.
  await addDeadLetter(bad[0]?.bad.fields ?? []);
  const distinct = new Set(
    good.map(({ record: { position } }) => `${position.deviceId} ${position.fixAtMs}`),
  );
  expect(await check()).toEqual({ stored: distinct.size, parked: bad.length });

  const foreign = await addDeadLetter(['nobody', 'sent this']);
  await expect(check()).rejects.toThrow('dead letters that were not sent (1)');
  await redis.xdel(`${stream}:dlq`, foreign);

  const ofFirst = sql`device_id = ${deviceId} and ts = ${new Date(fixAtMs).toISOString()}`;
  await sql`update positions set altitude = altitude + 1 where ${ofFirst}`;
  await expect(check()).rejects.toThrow(`${key} differs from what was sent`);
  await sql`update positions set altitude = altitude - 1, device_id = 'nobody' where ${ofFirst}`;
  await expect(check()).rejects.toThrow(`records not stored (1): ${key}`);
  await store([first]);
  await expect(check()).rejects.toThrow('rows that were not sent (1): nobody');
});

function bytes(fields: readonly (string | Buffer)[]): Buffer[] {
  return fields.map((field) => Buffer.from(field));
}
