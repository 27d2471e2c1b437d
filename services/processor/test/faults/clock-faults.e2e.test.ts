import { eventually } from '@app/test-kit/eventually';
import { shiftDate, shiftPostgresClock } from '@app/test-kit/shift-clocks';
import { expect, test } from 'vitest';
import { openFixture } from '../support/open-fixture.ts';
import { record, records, send } from '../support/telemetry.ts';

const dayMs = 86_400_000;

test(
  'Redis three days behind: good fixes are stored without a flag, and only fixes ahead of the time are not',
  { timeout: 120_000 },
  async () => {
    const shiftMs = 3 * dayMs;
    await using fixture = await openFixture();
    await shiftPostgresClock(fixture.sql, shiftMs);
    const nowMs = Date.now() + shiftMs;
    const good = records(200).map(({ position }, n) => record({ ...position, fixAtMs: nowMs - n * 1000 }));
    const sent = await send(fixture.redis, fixture.stream, [
      ...good,
      record({ deviceId: 'ahead', fixAtMs: nowMs + 3_600_000 }),
      record({ deviceId: 'far', fixAtMs: nowMs + 7 * dayMs }),
    ]);
    const processor = await fixture.start({ preload: shiftDate, env: { SHIFT_DATE_MS: String(shiftMs) } });
    await fixture.expectStored(sent, { deadLettered: new Map([[sent.at(-1)?.id ?? '', 'future_limit']]) });
    const flagged = await fixture.sql`select device_id from positions where quality <> 0`;
    expect(flagged.map(({ device_id }) => device_id)).toEqual(['ahead']);
    await eventually(async () => {
      const skew = await processor.metrics('processor_clock_skew_seconds', { clock: 'redis' });
      return Math.abs((skew ?? 0) + shiftMs / 1000) < 60;
    });
    await processor.logged(/^a clock is wrong$/u);
  },
);
