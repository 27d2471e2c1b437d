import { migrate } from '@app/migrate/migrate';
import { countPlannedChunks } from '@app/test-kit/explain-statements';
import { startTimescale } from '@app/test-kit/timescale';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { readNewestFixes } from '../../src/latest/read-newest-fixes.ts';

const hourMs = 3_600_000;

test(
  'the newest-fix query opens no more chunks because there is more history',
  { timeout: 120_000 },
  async () => {
    await using timescale = await startTimescale();
    await migrate(timescale.url);
    const sql = postgres(timescale.url, { max: 1, fetch_types: false, onnotice: () => undefined });
    const nowMs = Date.UTC(2026, 5, 1, 12);
    const countChunks = async (days: number): Promise<number> => {
      await sql`
      insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
      select 'old', to_timestamp(${nowMs / 1000}) - make_interval(days => n), 46, 7, 0, 0, 0, 9, 0, '8E'
        from generate_series(0, ${days}::int) as n
      on conflict do nothing`;
      const queries = [{ deviceId: 'old', heldFixAtMs: nowMs }];
      return await countPlannedChunks(sql, (recording) =>
        readNewestFixes(async (statement) => await statement(recording), queries, nowMs - 24 * hourMs),
      );
    };
    try {
      // Today's and yesterday's.
      expect(await countChunks(30)).toBe(2);
      expect(await countChunks(300)).toBe(2);
    } finally {
      await sql.end();
    }
  },
);
