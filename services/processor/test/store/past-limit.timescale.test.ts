import { migrate } from '@app/migrate/migrate';
import { startTimescale } from '@app/test-kit/timescale';
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { fix } from '../support/fixes.ts';
import { singleConnectionClient, writerOn } from '../support/open-writer.ts';

const dayMs = 86_400_000;
const noon = Date.UTC(2026, 5, 1, 12);
const never = new AbortController().signal;

test(
  'a clock that spreads fixes over 3,000 days makes chunks up to the past limit only, and every fix is stored',
  { timeout: 120_000 },
  async () => {
    await using timescale = await startTimescale();
    await migrate(timescale.url);
    const sql = postgres(timescale.url, { max: 1, fetch_types: false, onnotice: () => undefined });
    try {
      const limitDays = 50;
      const batch = Array.from({ length: 3000 }, (_, n) =>
        fix({ fixAtMs: noon - n * dayMs, priority: n % 10 === 0 ? 2 : 0 }, `${noon}-${n}`, limitDays * dayMs),
      );
      const at = writerOn(singleConnectionClient(sql));
      // The WebAssembly build ends at statements of megabytes.
      for (let n = 0; n < batch.length; n += 250) {
        const some = batch.slice(n, n + 250);
        expect(await at.writer.write(some, never)).toEqual({
          durable: some,
          repeated: new Set(),
          conflicting: [],
          refused: [],
        });
      }
      const [counts] = await sql`
      select (select count(*)::int from timescaledb_information.chunks where hypertable_name = 'positions') as chunks,
             (select count(*)::int from positions) as recent,
             (select count(*)::int from positions_past_limit) as past,
             (select count(*)::int from sos_records) as sos`;
      expect(counts).toEqual({
        chunks: limitDays + 1,
        recent: limitDays + 1,
        past: 3000 - limitDays - 1,
        sos: 300,
      });
    } finally {
      await sql.end();
    }
  },
);
