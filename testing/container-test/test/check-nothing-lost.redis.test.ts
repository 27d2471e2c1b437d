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
import { proveNothingLost } from '../src/prove-nothing-lost.ts';

test('the proof holds for what was sent, and fails for each way to lose or change it', async () => {
  await using servers = await startRedis();
  await using database = await startPostgres();
  await using stack = new AsyncDisposableStack();
  const redis = stack.adopt(new Redis(servers.url), (client) => client.disconnect());
  const sql = stack.adopt(postgres(database.url, { max: 2 }), (client) => client.end());
  const stream = `${servers.keyPrefix}telemetry`;
  const { sendings, good, bad } = makeBigRace({ records: 400, badShare: 0.05, seed: 3 });
  const proof = () => proveNothingLost({ redis, sql, stream, sent: sendings, settleLimitMs: 2_000 });
  const store = async (stored: readonly TimedRecord[]): Promise<void> => {
    const entries = stored.map(({ record }) => ({
      id: `${Date.now()}-0`,
      fields: bytes(encodeFields(record)),
      deliveries: 1,
    }));
    await insertPositions(sql, decodeEntries(entries, { flagMs: 120_000, limitMs: Infinity }).fixes);
  };
  const park = async (fields: readonly (string | Buffer)[]): Promise<string> => {
    const rejected = {
      entry: { id: '5-1', fields: bytes(fields), deliveries: 1 },
      reason: 'bad',
      detail: '',
    };
    return (await redis.xadd(`${stream}:dlq`, '*', ...encodeDeadLetter(rejected, 'c', 'then'))) ?? '';
  };

  // Read, pending, acknowledged.
  const id = (await redis.xadd(stream, '*', 'field', 'value')) ?? '';
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await expect(proof()).rejects.toThrow('lag: 1');
  await redis.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', stream, '>');
  await expect(proof()).rejects.toThrow('pending: 1');
  await redis.xack(stream, 'processor', id);

  const [first] = good;
  if (first === undefined) throw new Error('the race has no record');
  const { deviceId, fixAtMs } = first.record.position;
  const key = `${deviceId} ${fixAtMs}`;
  await store(good.filter(({ record: { position } }) => `${position.deviceId} ${position.fixAtMs}` !== key));
  await expect(proof()).rejects.toThrow(`records that are not stored (1): ${key}`);
  await store([first]);

  await expect(proof()).rejects.toThrow(`bad records that are not parked (${bad.length})`);
  for (const {
    bad: { fields },
  } of bad)
    await park(fields);
  // Twice, as after a kill: that is no loss.
  await park(bad[0]?.bad.fields ?? []);
  const distinct = new Set(
    good.map(({ record: { position } }) => `${position.deviceId} ${position.fixAtMs}`),
  );
  expect(await proof()).toEqual({ stored: distinct.size, parked: bad.length });

  const foreign = await park(['nobody', 'sent this']);
  await expect(proof()).rejects.toThrow('dead letters of what nobody sent (1)');
  await redis.xdel(`${stream}:dlq`, foreign);

  const ofFirst = sql`device_id = ${deviceId} and ts = ${new Date(fixAtMs).toISOString()}`;
  await sql`update positions set altitude = altitude + 1 where ${ofFirst}`;
  await expect(proof()).rejects.toThrow(`${key} is not as it was sent`);
  await sql`update positions set altitude = altitude - 1, device_id = 'nobody' where ${ofFirst}`;
  await expect(proof()).rejects.toThrow(`records that are not stored (1): ${key}`);
  await store([first]);
  await expect(proof()).rejects.toThrow('rows that nobody sent (1): nobody');
});

function bytes(fields: readonly (string | Buffer)[]): Buffer[] {
  return fields.map((field) => Buffer.from(field));
}
