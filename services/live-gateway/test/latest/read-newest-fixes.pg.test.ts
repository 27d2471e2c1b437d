import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { fixOf, newDevice, openFixture } from '../support/open-fixture.ts';
import { hydrateLatest } from '../../src/latest/hydrate-latest.ts';
import type { Hydration } from '../../src/latest/hydrate-latest.ts';
import { LatestFixes } from '../../src/latest/latest-fixes.ts';
import { readNewestFixes } from '../../src/latest/read-newest-fixes.ts';

const hourMs = 3_600_000;

function run(sql: postgres.Sql): Parameters<typeof readNewestFixes>[0] {
  return async (statement) => await statement(sql);
}

describe('the newest-fix query', () => {
  test('returns the newest fix per device that is neither flagged, faulty nor older than the look-back', async () => {
    await using fixture = await openFixture();
    const nowMs = Date.now();
    const [good, old, none] = [newDevice(), newDevice(), newDevice()];
    const wanted = fixOf(good, {
      fixAtMs: nowMs - 5_000,
      latitude: -12.5,
      longitude: 179.25,
      speedKmh: 33.5,
    });
    await fixture.store(fixOf(good, { fixAtMs: nowMs - 9_000 }));
    await fixture.store(wanted);
    await fixture.store(fixOf(good, { fixAtMs: nowMs - 4_000, latitude: 0, longitude: 0 }), { quality: 2 });
    await fixture.store(fixOf(good, { fixAtMs: nowMs - 3_000 }));
    await fixture.sql`update positions set faulty = true where ts = ${new Date(nowMs - 3_000)}`;
    await fixture.store(fixOf(old, { fixAtMs: nowMs - 2 * hourMs }));
    const queries = [good, old, none].map(({ imei }) => ({ deviceId: imei, heldFixAtMs: undefined }));
    const results = await readNewestFixes(run(fixture.gatewaySql), queries, nowMs - hourMs);
    expect(new Map(results.map(({ deviceId, newest }) => [deviceId, newest]))).toEqual(
      new Map([
        [
          good.imei,
          {
            deviceId: good.imei,
            fixAtMs: wanted.fixAtMs,
            latitude: -12.5,
            longitude: 179.25,
            altitudeM: 512,
            courseDeg: 90,
            speedKmh: 33.5,
            arrivedAtMs: undefined,
            entryRef: undefined,
          },
        ],
        [old.imei, undefined],
        [none.imei, undefined],
      ]),
    );
    expect(await readNewestFixes(run(fixture.gatewaySql), [], nowMs - hourMs)).toEqual([]);
  });

  test('finds that the current fix was marked faulty, and the latest fix is retracted', async () => {
    await using fixture = await openFixture();
    const nowMs = Date.now();
    const device = newDevice();
    await fixture.store(fixOf(device, { fixAtMs: nowMs - 2_000 }));
    await fixture.store(fixOf(device, { fixAtMs: nowMs - 1_000 }));
    const latest = new LatestFixes(hourMs);
    const hydrate = async (): Promise<Hydration> => {
      const { promise, resolve } = Promise.withResolvers<Hydration>();
      await hydrateLatest(latest, [device.imei], {
        readNewest: (queries) => readNewestFixes(run(fixture.gatewaySql), queries, nowMs - hourMs),
        applyHydration: async (change) => resolve(change()),
        nowMs: () => nowMs,
      });
      return promise;
    };
    expect(await hydrate()).toEqual({ moved: [device.imei], retracted: [] });
    expect(latest.hold(device.imei).fix?.fixAtMs).toBe(nowMs - 1_000);
    expect(await hydrate()).toEqual({ moved: [], retracted: [] });
    await fixture.sql`update positions set faulty = true where ts = ${new Date(nowMs - 1_000)}`;
    expect(await hydrate()).toEqual({ moved: [], retracted: [device.imei] });
    expect(latest.hold(device.imei).fix?.fixAtMs).toBe(nowMs - 2_000);
  });

  test('is sent for at most 250 devices at a time, and answers for all', async () => {
    await using fixture = await openFixture();
    const queries = Array.from({ length: 501 }, (_, n) => ({
      deviceId: `device-${n}`,
      heldFixAtMs: undefined,
    }));
    let statements = 0;
    const results = await readNewestFixes(
      async (statement) => {
        statements += 1;
        return await statement(fixture.gatewaySql);
      },
      queries,
      Date.now() - hourMs,
    );
    expect(statements).toBe(3);
    expect(new Set(results.map(({ deviceId }) => deviceId)).size).toBe(501);
  });

  test('takes two index probes per device and never scans the table', async () => {
    await using fixture = await openFixture();
    await fixture.sql`
      insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
      select 'device-' || n % 50, now() - n * interval '1 second', 46, 8, 0, 0, 0, 9, 0, '8E'
        from generate_series(1, 20000) as n`;
    await fixture.sql`analyze positions`;
    const queries = Array.from({ length: 50 }, (_, n) => ({
      deviceId: `device-${n}`,
      heldFixAtMs: undefined,
    }));
    // One connection: only the session itself can flush its statistics.
    const sql = postgres(fixture.postgresUrl, { max: 1 });
    try {
      const results = await readNewestFixes(run(sql), queries, Date.now() - 24 * hourMs);
      expect(results.filter(({ newest }) => newest !== undefined)).toHaveLength(50);
      await sql`select pg_stat_force_next_flush()`;
      const [scans] = await sql`
        select idx_scan::int as probes, (select seq_scan::int from pg_stat_user_tables where relname = 'positions') as whole
          from pg_stat_user_indexes where indexrelname = 'positions_device_ts_idx'`;
      // One for the newest good fix, one for a newer faulty one; there is no current fix to look up.
      expect(scans).toEqual({ probes: 100, whole: 0 });
    } finally {
      await sql.end();
    }
  });
});
