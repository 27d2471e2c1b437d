import { expect, test } from 'vitest';
import { insertPositions } from '../../src/store/insert-positions.ts';
import { writeDeadLetters } from '../../src/stream/write-dead-letters.ts';
import { checkAllStored } from './expect-all-stored.ts';
import { deadLetterOf, fixOf } from './fixes.ts';
import { openFixture } from './open-fixture.ts';
import { records, send } from './telemetry.ts';

test('the check fails for each way to break the promise', async () => {
  await using fixture = await openFixture();
  const { redis, stream, sql } = fixture;
  const sent = await send(redis, stream, records(4));
  const [first, second, third, poison] = sent;
  if (!first || !second || !third || !poison) throw new Error('four entries were sent');
  const deadLettered = new Map([[poison.id, 'row_refused']]);
  const proof = (): Promise<void> => checkAllStored({ redis, sql, stream, sent, deadLettered });

  await expect(proof()).rejects.toThrow('the stream has no group processor');
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await expect(proof()).rejects.toThrow('last-delivered-id: 0-0 instead of');
  await redis.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', stream, '>');
  await expect(proof()).rejects.toThrow('pending: 4 instead of 0');
  await redis.xack(stream, 'processor', ...sent.map(({ id }) => id));

  await expect(proof()).rejects.toThrow(`${poison.id}: missing instead of row_refused`);
  const entry = { id: poison.id, fields: poison.fields, deliveries: 1 };
  const letter = { entry, reason: 'row_refused', detail: 'no' };
  const target = { stream, group: 'other', consumer: 'c', maxLength: 100, whenFull: 'wait' } as const;
  await writeDeadLetters(redis, target, [deadLetterOf(letter)]);

  await expect(proof()).rejects.toThrow('the positions differ in 3 of 3');
  await insertPositions(sql, [fixOf(first), fixOf(second), fixOf(third)]);
  await proof();

  await expect(checkAllStored({ redis, sql, stream, sent })).rejects.toThrow(
    `${poison.id}: row_refused instead of nothing`,
  );
  await expect(checkAllStored({ redis, sql, stream, sent: sent.slice(1), deadLettered })).rejects.toThrow(
    /once .* instead of nothing/u,
  );
  await sql`update positions set latitude = 1 where device_id = ${first.position?.deviceId ?? ''}`;
  await expect(proof()).rejects.toThrow(/once 1 7.25 42.5 instead of once 46 7.25 42.5/u);
  await sql`delete from positions where latitude = 1`;
  await expect(proof()).rejects.toThrow(/missing instead of once 46/u);
  await insertPositions(sql, [fixOf(first)]);
  await sql`drop index positions_device_ts_idx`;
  await sql`insert into positions select * from positions where device_id = ${second.position?.deviceId ?? ''}`;
  await expect(proof()).rejects.toThrow('2 times');

  const bent = { ...entry, fields: [...poison.fields.slice(0, -1), Buffer.from('bent')] };
  await writeDeadLetters(redis, target, [deadLetterOf({ ...letter, entry: bent })]);
  await expect(proof()).rejects.toThrow('the bytes of the dead letters');
});
