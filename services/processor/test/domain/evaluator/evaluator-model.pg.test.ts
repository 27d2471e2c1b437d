/* oxlint-disable typescript/unbound-method -- each original is called on the object that was spied on */
import { PostgresClient } from '@app/runtime/postgres-client';
import { chosenSeed } from '@app/test-kit/chosen-seed';
import * as fc from 'fast-check';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { DeviceTracks } from '../../../src/domain/evaluator/device-tracks.ts';
import { openEvaluation } from '../../support/evaluation.ts';
import { resultsProperty } from '../../support/evaluator-model.ts';
import { insertSmallRace, drive, fixAt, type SmallRace, startAtMs } from '../../support/small-race.ts';
import { resultsFromScratch, resultsStored } from '../../support/results-from-scratch.ts';

const seed = chosenSeed('MODEL_SEED');
const at = await openEvaluation();
afterAll(() => at[Symbol.asyncDispose]());
afterEach(() => vi.restoreAllMocks());

test('three entries that drive the stage have results in every table, equal to those from scratch', async () => {
  const race = await insertSmallRace(at.sql);
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  for (const [n, imei] of race.imeis.entries()) await at.store(drive(imei, { speedKmh: 70 + n * 10 }));
  await at.settle(evaluator);
  const stored = await resultsStored(at.sql, race.eventId);
  expect(stored).toEqual(await resultsFromScratch(at.sql, race.eventId));
  expect(stored.passings.filter(({ verdict }) => verdict === 'counted')).toHaveLength(9);
  expect(stored.waypoint_results).toHaveLength(6);
  expect(stored.zone_episodes).toHaveLength(3);
  expect(stored.classification.map(({ status }) => status)).toEqual(Array(6).fill('finished'));
  expect(at.messages.filter((line) => /^(?:warn|error)/u.test(line))).toEqual([]);
});

test('an event without a start and an end has results', async () => {
  const race = await insertSmallRace(at.sql);
  await at.sql`update events set start_at = null, end_at = null where id = ${race.eventId}`;
  await at.sql`update stages set start_at = ${new Date(startAtMs)} where id = ${race.stageId}`;
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  const stored = await resultsStored(at.sql, race.eventId);
  expect(stored).toEqual(await resultsFromScratch(at.sql, race.eventId));
  expect(stored.passings).toHaveLength(3);
});

const oddInputs: Readonly<Record<string, (race: SmallRace) => Promise<unknown>>> = {
  'an end in the year 20266': ({ eventId }) =>
    at.sql`update events set end_at = '20266-07-05' where id = ${eventId}`,
  'a start before the year 1': ({ eventId }) =>
    at.sql`update events set start_at = '0044-03-15 BC' where id = ${eventId}`,
  'a threshold with a NUL in its name': ({ eventId }) =>
    at.sql`update events set thresholds = '{"a\\u0000b": 1}'::json where id = ${eventId}`,
  'a value that is cut within a character': ({ eventId }) =>
    at.sql`update events set thresholds = ${JSON.stringify({ [`${'x'.repeat(39)}🏁`]: 1 })}::text::json where id = ${eventId}`,
  'a tracker with an HDOP beyond all bounds': ({ imeis }) =>
    at.store(
      [50, 51].map((atS) => fixAt(imeis[2] ?? '', atS, (atS - 50.5) * 20, 0, { attributes: { 182: 1e308 } })),
    ),
};

test.each(Object.keys(oddInputs))('%s keeps nobody from having results', async (name) => {
  const race = await insertSmallRace(at.sql);
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  await oddInputs[name]?.(race);
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  const stored = await resultsStored(at.sql, race.eventId);
  expect(stored).toEqual(await resultsFromScratch(at.sql, race.eventId));
  expect(stored.passings.length).toBeGreaterThanOrEqual(3);
});

test('fixes of a marked range count for nothing, although their announcement comes last', async () => {
  const race = await insertSmallRace(at.sql);
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  const records = drive(race.imeis[0] ?? '');
  await at.store(records.slice(0, 40));
  await at.sql`
    insert into faulty_marks (device_id, from_at, until_at, reason)
    values (${race.deviceIds[0] ?? ''}, ${new Date(startAtMs)}, ${new Date(startAtMs + 3_600_000)}, 'a test')`;
  const written = await at.write(records.slice(40));
  await evaluator.evaluate(new AbortController().signal, true);
  await at.announce(written);
  await at.settle(evaluator);
  const { passings } = await resultsStored(at.sql, race.eventId);
  expect(passings).toEqual([]);
});

test('what a processor stored of a new device and did not announce before it was killed has results', async () => {
  const race = await insertSmallRace(at.sql);
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  await at.settle(evaluator);
  await at.sql`
    update entry_devices set device_id = ${race.deviceIds[3] ?? ''} where id = ${race.assignmentIds[0] ?? ''}`;
  await at.settle(evaluator);
  // Its copy of the assignments is the one of before, and it never reads another.
  await at.store(drive(race.imeis[3] ?? ''));
  const { now } = performance;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 5000);
  await at.settle(evaluator);
  const { passings } = await resultsStored(at.sql, race.eventId);
  expect(passings).toHaveLength(3);
});

test('in the end the tables hold what the rules make of the data', { timeout: 300_000 }, async () => {
  const checked = await fc.check(resultsProperty(at), { seed, numRuns: 30, endOnFailure: true });
  expect(checked.failed ? `seed ${seed}: ${String(checked.errorInstance)}` : '').toBe('');
});

async function firstFailure(): Promise<string> {
  const checked = await fc.check(resultsProperty(at), { seed: 1, numRuns: 60, endOnFailure: true });
  return String(checked.failed ? checked.errorInstance : 'not detected');
}

const isDetected = /the tables are not what the rules make of the data/u;

test('a late fix that is ignored is detected', { timeout: 300_000 }, async () => {
  const { add } = DeviceTracks.prototype;
  const newest = new Map<string, number>();
  vi.spyOn(DeviceTracks.prototype, 'add').mockImplementation(function (
    this: DeviceTracks,
    id,
    stored,
    nowMs,
  ) {
    const [deviceId, fixAtMs] = stored;
    if (fixAtMs < (newest.get(deviceId) ?? 0)) return;
    newest.set(deviceId, fixAtMs);
    add.call(this, id, stored, nowMs);
  });
  expect(await firstFailure()).toMatch(isDetected);
});

test('a fix that is too late and not observed again is detected', { timeout: 300_000 }, async () => {
  const { markDirty } = DeviceTracks.prototype;
  vi.spyOn(DeviceTracks.prototype, 'markDirty').mockImplementation(function (this: DeviceTracks, ...args) {
    if (args[1] !== 'late or repeated fixes') markDirty.apply(this, args);
  });
  expect(await firstFailure()).toMatch(isDetected);
});

test('an older write that comes last is detected', { timeout: 300_000 }, async () => {
  // As if an older evaluation, whose write is not refused, came last.
  const { run } = PostgresClient.prototype;
  let previous: Parameters<typeof run> | undefined;
  vi.spyOn(PostgresClient.prototype, 'run').mockImplementation(async function (
    this: PostgresClient,
    ...args
  ) {
    const result = await run.apply(this, args);
    if (args[1] !== 'writing results') return result;
    if (previous) await run.apply(this, previous);
    previous = args;
    return result;
  });
  expect(await firstFailure()).toMatch(isDetected);
});
