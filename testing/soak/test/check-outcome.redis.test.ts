import { encodeDeadLetter } from '@app/processor/stream/dead-letter';
import { decodeEntries } from '@app/processor/pipeline/decode-entries';
import { insertPositions } from '@app/processor/store/insert-positions';
import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { Load, type LoadItem } from '../src/load.ts';
import { type OutcomeInput, checkOutcome } from '../src/check-outcome.ts';

const records = 600;
const load = new Load(11);
const items = Array.from({ length: records }, (_, n) => load.item(n));

function isStored({ kind }: LoadItem): boolean {
  return kind === 'good' || kind === 'old';
}

function first(kind: LoadItem['kind'], from = 0): LoadItem {
  const found = items.find((item) => item.n >= from && item.kind === kind && !load.hasConflict(item.n));
  if (found === undefined) throw new Error(`no ${kind} in the load`);
  return found;
}

function bytes(fields: readonly (string | Buffer)[]): Buffer[] {
  return fields.map((field) => Buffer.from(field));
}

test(
  'the check passes for what was sent and fails for each way to break the promise',
  { timeout: 120_000 },
  async () => {
    await using servers = await startRedis();
    await using database = await startPostgres();
    await using stack = new AsyncDisposableStack();
    const redis = stack.adopt(new Redis(servers.url), (client) => client.disconnect());
    const sql = stack.adopt(postgres(database.url, { max: 2 }), (client) => client.end());
    const stream = `${servers.keyPrefix}telemetry`;
    const deadLetters = `${stream}:dlq`;
    const sent = { records, confirmed: records, unconfirmed: 2, replayed: 0, unconfirmedReplays: 0 };
    const problems = async (changed: Partial<OutcomeInput> = {}): Promise<string> =>
      (await checkOutcome({ redis, sql, stream, load, sent, ...changed })).problems.join('\n');
    const store = async (...stored: readonly LoadItem[]): Promise<void> => {
      const entries = stored.map(({ fields }) => ({
        id: '1795000000000-0',
        fields: bytes(fields),
        deliveries: 1,
      }));
      const limits = { futureFlagMs: 120_000, futureLimitMs: Infinity, pastLimitMs: 10 * 365 * 86_400_000 };
      const { fixes } = decodeEntries(entries, limits);
      const { past = [], recent = [] } = Object.groupBy(fixes, ({ isPastLimit }) =>
        isPastLimit ? 'past' : 'recent',
      );
      await insertPositions(sql, recent);
      await insertPositions(sql, past, 'positions_past_limit');
    };
    const deadLetter = async (
      item: LoadItem,
      reason = item.reason ?? '',
      fields = item.fields,
    ): Promise<string> => {
      const rejected = { entry: { id: '5-1', fields: bytes(fields), deliveries: 1 }, reason, detail: '' };
      return (await redis.xadd(deadLetters, '*', ...encodeDeadLetter(rejected, 'c', 'then'))) ?? '';
    };

    const pipeline = redis.pipeline();
    for (const { fields } of items) pipeline.xadd(stream, '*', ...fields);
    await pipeline.exec();
    await redis.xgroup('CREATE', stream, 'processor', '0');
    expect(await problems()).toContain('entries are unread');
    const page = await redis.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', stream, '>');
    expect(await problems()).toContain(`entries are pending (1): ${records}`);
    expect(await problems()).toContain(
      `records neither stored nor dead-lettered (${records}): 0 (${items[0]?.kind}); 1 (`,
    );
    const ids = (await redis.xpending(stream, 'processor', '-', '+', records)).flatMap((row) =>
      Array.isArray(row) ? [String(row[0])] : [],
    );
    expect(page).toHaveLength(1);
    await redis.xack(stream, 'processor', ...ids);

    await store(...items.filter(isStored));
    for (const item of items) if (!isStored(item)) await deadLetter(item);
    expect(await problems()).toBe('');
    const outcome = await checkOutcome({ redis, sql, stream, load, sent });
    expect(outcome.rows + [...outcome.deadLetters.values()].reduce((sum, n) => sum + n)).toBe(records);

    expect(await problems({ sent: { ...sent, confirmed: records - 2 } })).toBe('');
    expect(
      await problems({ sent: { ...sent, confirmed: records - 7, replayed: 4, unconfirmedReplays: 1 } }),
    ).toBe('');
    expect(await problems({ sent: { ...sent, replayed: 1 } })).toContain('wrong number of entries');
    expect(await problems({ sent: { ...sent, confirmed: records - 3 } })).toContain(
      'wrong number of entries',
    );
    expect(await problems({ sent: { ...sent, confirmed: records + 1 } })).toContain(
      'wrong number of entries',
    );

    const good = first('good', 300);
    await sql`update positions set speed = 1 where attributes ->> '16' = ${String(good.n)}`;
    expect(await problems()).toContain('rows that differ from what was sent (1)');
    await sql`delete from positions where attributes ->> '16' = ${String(good.n)}`;
    expect(await problems()).toBe(`records neither stored nor dead-lettered (1): ${good.n} (good)`);
    await store(good);
    await sql`insert into positions select 'nobody', ts, ingested_at, latitude, longitude, altitude, angle, speed, satellites,
    priority, codec, '{"16": 1000000}', quality, faulty from positions limit 1`;
    expect(await problems()).toContain('rows that were not sent (1): nobody at 2026');
    await sql`delete from positions where device_id = 'nobody'`;
    await sql`drop index positions_device_ts_idx`;
    await sql`insert into positions select * from positions where attributes ->> '16' = ${String(good.n)}`;
    expect(await problems()).toBe(`records stored more than once (1): ${good.n}`);
    await sql`delete from positions where attributes ->> '16' = ${String(good.n)}`;
    await sql`create unique index positions_device_ts_idx on positions (device_id, ts desc)`;
    await store(good);

    const conflict = first('conflict');
    await sql`create table kept as select * from positions where attributes ->> '16' = ${String(conflict.n - 1)}`;
    await sql`delete from positions where attributes ->> '16' = ${String(conflict.n - 1)}`;
    await store(conflict);
    expect(await problems()).toContain(`records both stored and dead-lettered (1): ${conflict.n} (conflict)`);
    await sql`drop index positions_device_ts_idx`;
    await sql`insert into positions select * from kept`;
    expect(await problems()).toContain(
      `conflicting records that are both stored (1): ${conflict.n - 1} and ${conflict.n}`,
    );
    await sql`delete from positions where attributes ->> '16' = ${String(conflict.n)}`;
    expect(await problems()).toBe('');

    const garbage = first('garbage');
    const planted = [await deadLetter(garbage, 'row_refused')];
    expect(await problems()).toContain(
      `dead letters with a wrong reason (1): ${garbage.n} (garbage): row_refused`,
    );
    planted.push(await deadLetter(garbage, garbage.reason, [...garbage.fields, 'more', '1']));
    expect(await problems()).toContain('dead letters with other bytes than were sent (1)');
    planted.push(await deadLetter(garbage, garbage.reason, ['n', String(records)]));
    planted.push((await redis.xadd(deadLetters, '*', 'n', '1')) ?? '');
    expect(await problems()).toContain('dead letters of entries that were not sent (2)');
    planted.push(await deadLetter(first('good')));
    expect(await problems()).toContain('dead letters with a wrong reason (2)');
    await redis.xdel(deadLetters, ...planted);
    expect(await problems()).toBe('');
    // Allowed: a repeated dead letter, and one of an entry that was processed alone while the process was killed.
    await deadLetter(garbage);
    await deadLetter(good, 'ended_process');
    expect(await checkOutcome({ redis, sql, stream, load, sent })).toMatchObject({
      problems: [],
      repeatedDeadLetters: 1,
    });
  },
);
