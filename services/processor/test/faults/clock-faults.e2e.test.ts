import { eventually } from '@app/test-kit/eventually';
import { shiftDate, shiftPostgresClock } from '@app/test-kit/shift-clocks';
import { expect, test } from 'vitest';
import { deadLetterStream } from '../../src/stream/dead-letter.ts';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { type Fixture, openFixture } from '../support/open-fixture.ts';
import { stored } from '../support/open-faulty-fixture.ts';
import { record, records, send, type SentEntry } from '../support/telemetry.ts';

const dayMs = 86_400_000;
/** As many are dead-lettered at most before most entries count as rejected. */
const maxEarly = 250;

/** Good fixes of 200 devices by a clock that is ahead of Redis' by so much. */
async function sendAhead(
  { redis, stream }: Fixture,
  from: number,
  shiftMs: number,
): Promise<readonly SentEntry[]> {
  const fixAtMs = Date.now() + shiftMs - from;
  return await send(
    redis,
    stream,
    records(200, { from }).map(({ position }, n) => record({ ...position, deviceId: `d${n}`, fixAtMs })),
  );
}

/** All are stored, except those that were dead-lettered before most entries were rejected. */
async function expectMostStored(fixture: Fixture, sent: readonly SentEntry[]): Promise<void> {
  await eventually(
    async () =>
      (await stored(fixture)) + (await fixture.redis.xlen(deadLetterStream(fixture.stream))) === sent.length,
  );
  const letters = await readDeadLetters(fixture.redis, fixture.stream);
  expect(letters.length).toBeLessThan(maxEarly);
  const deadLettered = new Map(letters.map(({ cause }) => [cause.dlq_entry_id, cause.dlq_reason]));
  expect(new Set(deadLettered.values())).toEqual(
    letters.length === 0 ? new Set() : new Set(['future_limit']),
  );
  await fixture.expectStored(sent, { deadLettered });
}

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

test(
  'Redis falls three days behind at runtime: the clocks are measured before the stream would stop, and good fixes are stored',
  { timeout: 120_000 },
  async () => {
    const shiftMs = 3 * dayMs;
    await using fixture = await openFixture();
    // Redis and Postgres agree that the processor's clock is wrong.
    await shiftPostgresClock(fixture.sql, 0);
    const processor = await fixture.start({ preload: shiftDate, env: { SHIFT_DATE_MS: String(shiftMs) } });
    await processor.logged(/^a clock is wrong$/u);
    // Redis' clock is the wrong one from here on.
    await shiftPostgresClock(fixture.sql, shiftMs);
    const sent: SentEntry[] = [];
    for (let from = 0; from < 2000; from += 200) {
      sent.push(...(await sendAhead(fixture, from, shiftMs)));
      await expectMostStored(fixture, sent);
    }
    expect(await processor.metrics('processor_stream_stopped')).toBe(0);
  },
);

test(
  'a stream that was stopped since no two clocks agree continues without a restart once they do',
  { timeout: 120_000 },
  async () => {
    const shiftMs = 3 * dayMs;
    await using fixture = await openFixture();
    await shiftPostgresClock(fixture.sql, 10 * dayMs);
    const processor = await fixture.start({ preload: shiftDate, env: { SHIFT_DATE_MS: String(shiftMs) } });
    const sent: SentEntry[] = [];
    for (let from = 0; from < 2000; from += 200) sent.push(...(await sendAhead(fixture, from, shiftMs)));
    await processor.logged(/^stream stopped: most entries are rejected/u);
    expect((await processor.readyz()).status).toBe(503);
    await shiftPostgresClock(fixture.sql, shiftMs);
    await expectMostStored(fixture, sent);
    await processor.logged(/^most entries were rejected by a wrong clock of Redis/u);
    expect(await processor.metrics('processor_stream_stopped')).toBe(0);
    expect((await processor.readyz()).status).toBe(200);
  },
);
