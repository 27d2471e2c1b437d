import { readFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openFixture } from './support/open-fixture.ts';
import { cleanExit } from './support/start-processor.ts';
import { records, send } from './support/telemetry.ts';

async function openServers() {
  const fixture = await openFixture();
  onTestFinished(() => fixture[Symbol.asyncDispose]());
  return fixture;
}

// The procedures of docs/operations.md.
describe('runbook', () => {
  test('setting the group back stores what a restored backup lacks', async () => {
    const fixture = await openServers();
    const sent = await send(fixture.redis, fixture.stream, records(300));
    const before = await fixture.start();
    await fixture.expectStored(sent);
    expect(await before.stop()).toEqual(cleanExit);

    // The backup lacks the last hundred; the operator sets the group back further, for safety.
    const missing = sent.slice(200).flatMap(({ position }) => position ?? []);
    for (const { deviceId, fixAtMs } of missing) {
      await fixture.sql`delete from positions where device_id = ${deviceId} and ts = ${new Date(fixAtMs)}`;
    }
    expect(await fixture.sql`select from positions`).toHaveLength(200);
    await fixture.redis.xgroup('SETID', fixture.stream, 'processor', sent[149]?.id ?? '');

    const after = await fixture.start();
    await fixture.expectStored(sent);
    expect(await after.metrics('processor_position_writes_total', { status: 'inserted' })).toBe(100);
    expect(await after.metrics('processor_position_writes_total', { status: 'duplicate' })).toBe(50);
    expect(await after.metrics('processor_entries_lost_total')).toBe(0);
    expect(await after.stop()).toEqual(cleanExit);
  });

  test('a second processor stores a copy of a trimmed stream', async () => {
    const fixture = await openServers();
    const sent = [...(await send(fixture.redis, fixture.stream, records(100)))];
    const first = await fixture.start();
    await fixture.expectStored(sent);
    expect(await first.stop()).toEqual(cleanExit);

    // No processor runs; before the producer trims the stream, it is copied with its group.
    sent.push(...(await send(fixture.redis, fixture.stream, records(100, { from: 100 }))));
    const saved = `${fixture.stream}:saved`;
    await fixture.redis.copy(fixture.stream, saved);
    await fixture.redis.xtrim(fixture.stream, 'MAXLEN', 0);
    const rescue = await fixture.start({ stream: saved });
    await rescue.logged(/^ops listening$/u);
    await expect
      .poll(async () => (await fixture.sql`select from positions`).length, { timeout: 20_000 })
      .toBe(sent.length);
    expect(await rescue.metrics('processor_position_writes_total', { status: 'duplicate' })).toBe(0);
    expect(await rescue.stop()).toEqual(cleanExit);
  });

  test('the statement of ClockSkew recomputes the flag of rows in its window, and nothing else', async () => {
    const { sql } = await openServers();
    const page = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const statement = /^update positions\n[^;]*;/mu.exec(page)?.[0] ?? '';
    const insert = async (device: string, ts: string, ingestedAt: string, quality: number): Promise<void> => {
      await sql`insert into positions (device_id, ts, ingested_at, latitude, longitude, altitude, angle, speed, satellites,
                                       priority, codec, quality)
        values (${device}, ${ts}, ${ingestedAt}, 1, 1, 1, 1, 1, 0, 1, '8', ${quality})`;
    };
    // Flagged by a clock that was an hour behind; one of them has no satellites either.
    await insert('good', '2026-06-01 09:00+00', '2026-06-01 09:00:01+00', 4);
    await insert('blind', '2026-06-01 09:00+00', '2026-06-01 09:00:01+00', 5);
    await insert('ahead', '2026-06-01 10:00+00', '2026-06-01 09:00:01+00', 4);
    await insert('unflagged', '2026-06-01 10:00+00', '2026-06-01 09:00:01+00', 1);
    await insert('outside', '2026-06-01 07:00+00', '2026-06-01 07:00:01+00', 4);
    await sql.unsafe(statement);
    const rows = await sql`select device_id, quality from positions`;
    expect(Object.fromEntries(rows.map(({ device_id, quality }) => [device_id, quality]))).toEqual({
      good: 0,
      blind: 1,
      ahead: 4,
      unflagged: 5,
      outside: 4,
    });
  });
});
