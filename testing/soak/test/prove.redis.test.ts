import { encodeDeadLetter } from '@app/processor/stream/dead-letter';
import { decodeEntries } from '@app/processor/pipeline/decode-entries';
import { insertPositions } from '@app/processor/store/insert-positions';
import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { Load, type LoadItem } from '../src/load.ts';
import { type Evidence, prove } from '../src/prove.ts';

const records = 600;
const load = new Load(11);
const items = Array.from({ length: records }, (_, n) => load.item(n));

function first(kind: LoadItem['kind'], from = 0): LoadItem {
  const found = items.find((item) => item.n >= from && item.kind === kind && !load.hasRival(item.n));
  if (found === undefined) throw new Error(`no ${kind} in the load`);
  return found;
}

function bytes(fields: readonly (string | Buffer)[]): Buffer[] {
  return fields.map((field) => Buffer.from(field));
}

test(
  'the proof holds for what was sent, and fails for each way to break it',
  { timeout: 120_000 },
  async () => {
    await using servers = await startRedis();
    await using database = await startPostgres();
    await using stack = new AsyncDisposableStack();
    const redis = stack.adopt(new Redis(servers.url), (client) => client.disconnect());
    const sql = stack.adopt(postgres(database.url, { max: 2 }), (client) => client.end());
    const stream = `${servers.keyPrefix}telemetry`;
    const letters = `${stream}:dlq`;
    const fed = { records, answered: records, unanswered: 2, replayed: 0, perhapsReplayed: 0 };
    const problems = async (changed: Partial<Evidence> = {}): Promise<string> =>
      (await prove({ redis, sql, stream, load, fed, ...changed })).problems.join('\n');
    const store = async (...stored: readonly LoadItem[]): Promise<void> => {
      const entries = stored.map(({ fields }) => ({
        id: '1795000000000-0',
        fields: bytes(fields),
        deliveries: 1,
      }));
      await insertPositions(sql, decodeEntries(entries, { flagMs: 120_000, limitMs: Infinity }).fixes);
    };
    const park = async (
      item: LoadItem,
      reason = item.reason ?? '',
      fields = item.fields,
    ): Promise<string> => {
      const rejected = { entry: { id: '5-1', fields: bytes(fields), deliveries: 1 }, reason, detail: '' };
      return (await redis.xadd(letters, '*', ...encodeDeadLetter(rejected, 'c', 'then'))) ?? '';
    };

    const pipeline = redis.pipeline();
    for (const { fields } of items) pipeline.xadd(stream, '*', ...fields);
    await pipeline.exec();
    await redis.xgroup('CREATE', stream, 'processor', '0');
    expect(await problems()).toContain('not all was read');
    const page = await redis.xreadgroup('GROUP', 'processor', 'c', 'STREAMS', stream, '>');
    expect(await problems()).toContain(`entries are still pending (1): ${records} of them`);
    expect(await problems()).toContain(
      `records neither stored nor parked (${records}): 0 (${items[0]?.kind}); 1 (`,
    );
    const ids = (await redis.xpending(stream, 'processor', '-', '+', records)).flatMap((row) =>
      Array.isArray(row) ? [String(row[0])] : [],
    );
    expect(page).toHaveLength(1);
    await redis.xack(stream, 'processor', ...ids);

    await store(...items.filter(({ kind }) => kind === 'good'));
    for (const item of items) if (item.kind !== 'good') await park(item);
    expect(await problems()).toBe('');
    const proof = await prove({ redis, sql, stream, load, fed });
    expect(proof.rows + [...proof.letters.values()].reduce((sum, n) => sum + n)).toBe(records);

    expect(await problems({ fed: { ...fed, answered: records - 2 } })).toBe('');
    expect(await problems({ fed: { ...fed, answered: records - 7, replayed: 4, perhapsReplayed: 1 } })).toBe(
      '',
    );
    expect(await problems({ fed: { ...fed, replayed: 1 } })).toContain('does not agree with the ledger');
    expect(await problems({ fed: { ...fed, answered: records - 3 } })).toContain(
      'does not agree with the ledger',
    );
    expect(await problems({ fed: { ...fed, answered: records + 1 } })).toContain(
      'does not agree with the ledger',
    );

    const good = first('good', 300);
    await sql`update positions set speed = 1 where attributes ->> '16' = ${String(good.n)}`;
    expect(await problems()).toContain('rows that differ from what was sent (1)');
    await sql`delete from positions where attributes ->> '16' = ${String(good.n)}`;
    expect(await problems()).toBe(`records neither stored nor parked (1): ${good.n} (good)`);
    await store(good);
    await sql`insert into positions select 'nobody', ts, ingested_at, latitude, longitude, altitude, angle, speed, satellites,
    priority, codec, '{"16": 1000000}', quality, faulty from positions limit 1`;
    expect(await problems()).toContain('rows that nobody sent (1): nobody at 2026');
    await sql`delete from positions where device_id = 'nobody'`;
    await sql`drop index positions_device_ts_idx`;
    await sql`insert into positions select * from positions where attributes ->> '16' = ${String(good.n)}`;
    expect(await problems()).toBe(`records stored more than once (1): ${good.n}`);
    await sql`delete from positions where attributes ->> '16' = ${String(good.n)}`;
    await sql`create unique index positions_device_ts_idx on positions (device_id, ts desc)`;
    await store(good);

    const rival = first('rival');
    await sql`create table kept as select * from positions where attributes ->> '16' = ${String(rival.n - 1)}`;
    await sql`delete from positions where attributes ->> '16' = ${String(rival.n - 1)}`;
    await store(rival);
    expect(await problems()).toContain(`records both stored and parked (1): ${rival.n} (rival)`);
    await sql`drop index positions_device_ts_idx`;
    await sql`insert into positions select * from kept`;
    expect(await problems()).toContain(`rivals of which both are stored (1): ${rival.n - 1} and ${rival.n}`);
    await sql`delete from positions where attributes ->> '16' = ${String(rival.n)}`;
    expect(await problems()).toBe('');

    const garbage = first('garbage');
    const planted = [await park(garbage, 'row_refused')];
    expect(await problems()).toContain(
      `dead letters with a wrong reason (1): ${garbage.n} (garbage): row_refused`,
    );
    planted.push(await park(garbage, garbage.reason, [...garbage.fields, 'more', '1']));
    expect(await problems()).toContain('dead letters with other bytes than were sent (1)');
    planted.push(await park(garbage, garbage.reason, ['n', String(records)]));
    planted.push((await redis.xadd(letters, '*', 'n', '1')) ?? '');
    expect(await problems()).toContain('dead letters of what nobody sent (2)');
    planted.push(await park(first('good')));
    expect(await problems()).toContain('dead letters with a wrong reason (2)');
    await redis.xdel(letters, ...planted);
    expect(await problems()).toBe('');
    // Twice is no fault, and neither is an entry that killed the process more than once.
    await park(garbage);
    await park(good, 'ended_process');
    expect(await prove({ redis, sql, stream, load, fed })).toMatchObject({
      problems: [],
      repeatedLetters: 1,
    });
  },
);
