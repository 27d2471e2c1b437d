import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { deadLetterStream } from '../../src/stream/dead-letter.ts';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import { openFixture, type Fixture } from '../support/open-fixture.ts';
import { pending, stored } from '../support/open-faulty-fixture.ts';
import { cleanExit, type RunningProcessor } from '../support/start-processor.ts';
import { record, records, send, sendFields, type SentEntry } from '../support/telemetry.ts';

const dayMs = 86_400_000;
const days = 3;
/** As many are dead-lettered at most before most entries count as rejected. */
const maxEarly = 250;

/** Good fixes of 100 devices, later than the ids of their entries: the clock that the ids come from is days behind. */
async function sendAhead({ redis, stream }: Fixture, count: number): Promise<readonly SentEntry[]> {
  const nowMs = Date.now();
  const ahead = records(count, { devices: 100 }).map(({ position }, n) =>
    record({ ...position, fixAtMs: nowMs + days * dayMs + n }),
  );
  const sent: SentEntry[] = [];
  for (let from = 0; from < count; from += 5000)
    sent.push(...(await send(redis, stream, ahead.slice(from, from + 5000))));
  return sent;
}

async function untilStopped(processor: RunningProcessor): Promise<void> {
  await eventually(async () => (await processor.metrics('processor_stream_stopped')) === 1, {
    timeoutMs: 30_000,
  });
}

async function deadLetters({ redis, stream }: Fixture): Promise<number> {
  return await redis.xlen(deadLetterStream(stream));
}

describe.concurrent('most entries are rejected', { timeout: 180_000 }, () => {
  test('the stream stops, at each start after a few hundred dead letters at most, and stores the rest once the limit is right', async () => {
    await using fixture = await openFixture();
    const sent = await sendAhead(fixture, 13_000);
    const env = { DLQ_MAX_LENGTH: '10000' };
    const first = await fixture.start({ env });
    await untilStopped(first);
    const { status, body } = await first.readyz();
    expect(status).toBe(503);
    expect(body).toMatch(/ is stopped: (\d+) of the last \1 entries were rejected \(future_limit\)\n$/u);
    expect((await first.healthz()).status).toBe(200);
    await first.logged(/^stream stopped: most entries are rejected/u);
    // What is in flight and read ahead, and nothing else, was read.
    expect(await pending(fixture)).toBeLessThanOrEqual(5000);
    // Those of the first reads, which are small, are too few to tell.
    const early = await deadLetters(fixture);
    expect(early).toBeLessThan(maxEarly);
    expect(await first.metrics('processor_acks_total')).toBe(early);
    expect(await first.stop()).toEqual(cleanExit);

    // A restart alone changes nothing.
    const second = await fixture.start({ env });
    await untilStopped(second);
    expect(await stored(fixture)).toBe(0);
    expect(await deadLetters(fixture)).toBeLessThan(2 * maxEarly);
    expect(await second.stop()).toEqual(cleanExit);

    await fixture.start({ env: { ...env, FUTURE_LIMIT_MS: String((days + 1) * dayMs) } });
    const letters = await readDeadLetters(fixture.redis, fixture.stream);
    const deadLettered = new Map(letters.map(({ cause }) => [cause.dlq_entry_id, cause.dlq_reason]));
    await fixture.expectStored(sent, { deadLettered, timeoutMs: 60_000 });
    expect(deadLettered.size).toBe(letters.length);
  });

  test('accepted reasons go to the dead letters, up to their maximum length; a larger one takes them all', async () => {
    await using fixture = await openFixture();
    const sent = await sendAhead(fixture, 3000);
    const accepting = { DLQ_ACCEPT_REASONS: 'future_limit' };
    const first = await fixture.start({ env: { ...accepting, DLQ_MAX_LENGTH: '2000' } });
    await eventually(async () => ((await first.metrics('processor_dead_letters_waiting')) ?? 0) > 0, {
      timeoutMs: 30_000,
    });
    expect(await deadLetters(fixture)).toBe(2000);
    expect(await first.stop()).toEqual(cleanExit);
    await fixture.start({ env: accepting });
    const deadLettered = new Map(sent.map(({ id }) => [id, 'future_limit']));
    await fixture.expectStored(sent, { deadLettered, timeoutMs: 60_000 });
    expect(await deadLetters(fixture)).toBe(3000);
  });

  test('a mix with one broken entry in five, and a broken tracker that sends most entries, stop nothing', async () => {
    await using fixture = await openFixture();
    const { redis, stream } = fixture;
    await fixture.start();
    const good = records(2000).map(encodeFields);
    const mix = good.map((fields, n) => (n % 5 === 0 ? ['payload', 'no JSON', 'codec', '8'] : fields));
    const broken = Array.from({ length: 1000 }, () => ['device_id', 'broken', 'payload', '{}', 'codec', '8']);
    const sent = [...(await sendFields(redis, stream, mix)), ...(await sendFields(redis, stream, broken))];
    await eventually(async () => (await deadLetters(fixture)) === 400 + 1000, { timeoutMs: 30_000 });
    await eventually(async () => (await pending(fixture)) === 0 && (await stored(fixture)) === 1600);
    expect(sent).toHaveLength(3000);
  });
});
