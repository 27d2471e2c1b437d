import { feed } from '@app/fleet-sim/feed';
import { race, raceImeis } from '@app/fleet-sim/race';
import { Tally } from '@app/fleet-sim/tally';
import type { TimedRecord } from '@app/fleet-sim/timed-record';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { countOutcome } from '../src/outcome.ts';
import { makeBigRace } from './support/big-race.ts';
import { readDeadLetters } from './support/dead-letters.ts';
import { openSystem } from './support/open-system.ts';
import { keyOf, readStoredRecords } from './support/stored-records.ts';

const { signal } = new AbortController();
const settleLimitMs = 60_000;

test('of 20,000 records each good one is stored once as it was sent, each bad one dead-lettered with its bytes and reason', async () => {
  const { imeis, sendings, good, bad } = makeBigRace({ records: 20_000, badShare: 0.01, seed: 1 });
  await using open = await openSystem({ imeis });
  const { system, redis, sql } = open;
  const { counts } = await feed({ redis, stream: system.stream, records: sendings, signal, speed: Infinity });
  const counted = await countOutcome(system, counts, settleLimitMs);

  const sent = new Map(good.map(({ record }) => [keyOf(record), record]));
  expect(await readStoredRecords(sql)).toEqual(sent);
  const deadLetters = await readDeadLetters(redis, system.stream);
  const expected = bad.map(({ bad: { fields, reason } }) => ({
    original: fields.map((field) => Buffer.from(field).toString('hex')),
    reason,
  }));
  expect(inOneOrder(deadLetters)).toEqual(inOneOrder(expected));

  expect(new Set(deadLetters.map(({ reason }) => reason)).size).toBe(11);
  expect(counts).toMatchObject({ records: 20_000, bad: 200, conflicting: 0, distinct: sent.size });
  expect(counted).toEqual({
    stored: sent.size,
    duplicates: 19_800 - sent.size,
    deadLetters: 200,
    pending: 0,
  });
  // Without many duplicates and much disorder all this would prove little.
  expect(counted.duplicates).toBeGreaterThan(500);
  expect(countLate(good)).toBeGreaterThan(1_000);
}, 120_000);

test('of two records with the same device and fix time and different content one is stored and the other dead-lettered as same_time', async () => {
  const seed = 4;
  const vehicles = 10;
  const startAtMs = Math.floor(Date.now() / 1_000) * 1_000 - 120_000;
  const trouble = { panicChance: 1 / 20, isPanicSameTime: true };
  const sendings = race({ seed, vehicles, startAtMs, durationMs: 60_000, trouble });
  await using open = await openSystem({ imeis: raceImeis({ seed, vehicles }) });
  const { system, redis } = open;
  const { counts } = await feed({ redis, stream: system.stream, records: sendings, signal, speed: Infinity });
  const counted = await countOutcome(system, counts, settleLimitMs);

  expect(counts.conflicting).toBeGreaterThan(5);
  expect(counted).toEqual({
    stored: counts.distinct,
    duplicates: counts.duplicates,
    deadLetters: counts.conflicting,
    pending: 0,
  });
  const deadLetters = await readDeadLetters(redis, system.stream);
  expect(new Set(deadLetters.map(({ reason }) => reason))).toEqual(new Set(['same_time']));
}, 60_000);

test('a processor killed in the middle, twice, and started again loses nothing and stores nothing twice', async () => {
  const { imeis, sendings, good } = makeBigRace({ records: 20_000, badShare: 0.01, seed: 2 });
  // Small batches: there is always one in hand when it is killed.
  const settings = { processor: { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50' } };
  await using open = await openSystem({ imeis, settings });
  const { system, redis, sql } = open;
  const countStored = async (): Promise<number> => {
    const [row] = await sql<{ stored: number }[]>`
      select (select count(*) from positions)::int + (select count(*) from positions_past_limit)::int as stored`;
    return row?.stored ?? 0;
  };
  const tally = new Tally();
  const feeding = feed({ redis, stream: system.stream, records: sendings, signal, speed: 50, tally });

  for (const share of [0.2, 0.5]) {
    await eventually(async () => (await countStored()) > share * good.length, { timeoutMs: settleLimitMs });
    await system.processor.crash();
    expect(await countStored()).toBeLessThan(0.9 * good.length);
    await system.restartProcessor();
  }
  await feeding;
  await eventually(async () => (await countStored()) === tally.counts.distinct, { timeoutMs: settleLimitMs });
  // The processor's own counts began anew with it: only what lies in Redis and Postgres counts here.
  await eventually(async () => (await countOutcome(system, tally.counts, 0)).pending === 0);

  expect(await readStoredRecords(sql)).toEqual(new Map(good.map(({ record }) => [keyOf(record), record])));
  // A dead letter is written before its entry is acknowledged, so after a kill it may be there twice.
  const deadLetters = await readDeadLetters(redis, system.stream);
  expect(new Set(deadLetters.map(({ original }) => original.join())).size).toBe(200);
}, 180_000);

function inOneOrder<T>(items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: JSON.stringify(item) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}

/** Records that come after a newer one of the same vehicle. */
function countLate(sendings: readonly TimedRecord[]): number {
  const newestMs = new Map<string, number>();
  let late = 0;
  for (const { deviceId, fixAtMs } of sendings.map(({ record }) => record.position)) {
    if (fixAtMs < (newestMs.get(deviceId) ?? -Infinity)) late += 1;
    else newestMs.set(deviceId, fixAtMs);
  }
  return late;
}
