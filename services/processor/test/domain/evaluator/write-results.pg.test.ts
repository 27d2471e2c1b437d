import { afterAll, expect, test } from 'vitest';
import { resultsStream } from '../../../src/domain/evaluator/announce-results.ts';
import { deleteResultsOfDeletedEvents } from '../../../src/domain/evaluator/deleted-events.ts';
import { LeaseLostError } from '../../../src/domain/evaluator/event-lease.ts';
import { failureProblems } from '../../../src/domain/evaluator/judge-event.ts';
import { prepareInputs } from '../../../src/domain/evaluator/race-inputs.ts';
import { loadRace } from '../../../src/domain/load-race.ts';
import { openEvaluation } from '../../support/evaluation.ts';
import { resultsFromScratch, resultsStored } from '../../support/results-from-scratch.ts';
import { drive, fixAt, insertSmallRace, startAtMs } from '../../support/small-race.ts';

const at = await openEvaluation();
const { sql, redis } = at;
afterAll(() => at[Symbol.asyncDispose]());

async function openRace() {
  const race = await insertSmallRace(sql);
  await at.devices.refresh();
  return { race, evaluator: await at.open(race.eventId) };
}

async function revisionOf(eventId: string): Promise<number> {
  const [row] = await sql`select revision from evaluations where event_id = ${eventId}`;
  return Number(row?.['revision']);
}

async function revisedAtUs(eventId: string): Promise<string> {
  const [row] = await sql`
    select (extract(epoch from revised_at) * 1000000)::bigint::text as us from evaluations where event_id = ${eventId}`;
  return String(row?.['us']);
}

test('an evaluator whose event was taken over changes nothing any more, whatever it knows', async () => {
  const { race, evaluator: older } = await openRace();
  await at.settle(older);
  const newer = await at.open(race.eventId);
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(newer);
  const stored = await resultsStored(sql, race.eventId);
  // It has other results to write: it knows of no decision.
  await sql`
    insert into decisions (id, entry_id, kind, decided_status)
    values (gen_random_uuid(), ${race.entryIds[0] ?? ''}, 'status', 'dsq')`;
  await expect(at.settle(older)).rejects.toThrow(LeaseLostError);
  expect(await resultsStored(sql, race.eventId)).toEqual(stored);
  await at.settle(newer);
  expect(await resultsStored(sql, race.eventId)).toEqual(await resultsFromScratch(sql, race.eventId));
});

test('what the tables hold already is not written again, by the next evaluator neither', async () => {
  const { race, evaluator } = await openRace();
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  const revision = await revisionOf(race.eventId);
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  await at.settle(await at.open(race.eventId));
  expect(await revisionOf(race.eventId)).toBe(revision);
});

test('a row that was changed by hand is corrected by the next evaluator', async () => {
  const { race, evaluator } = await openRace();
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  await sql`update passings set passed_at = passed_at + interval '1 ms' where event_id = ${race.eventId}`;
  expect(await resultsStored(sql, race.eventId)).not.toEqual(await resultsFromScratch(sql, race.eventId));
  await at.settle(await at.open(race.eventId));
  expect(await resultsStored(sql, race.eventId)).toEqual(await resultsFromScratch(sql, race.eventId));
});

test('the history has each row that appeared, changed or went, with the reason, but not each metre of progress', async () => {
  const { race, evaluator } = await openRace();
  const [imei = ''] = race.imeis;
  const entryId = race.entryIds[0] ?? '';
  for (const record of drive(imei).slice(0, 20)) {
    await at.store([record]);
    await at.settle(evaluator);
  }
  await at.store(drive(imei).slice(20));
  await at.settle(evaluator);
  const stage = () =>
    sql<{ old: string | null; new: string; reason: string }[]>`
      select old_row ->> 'status' as old, new_row ->> 'status' as new, reason from result_changes
       where entry_id = ${entryId} and table_name = 'stage_results' order by id`;
  const changes = await stage();
  expect(changes.map((row) => [row.old, row.new])).toEqual([
    [null, 'dns'],
    ['dns', 'otl'],
    // A waypoint less is missing.
    ['otl', 'otl'],
    ['otl', 'finished'],
  ]);
  expect(changes.map(({ reason }) => reason)).toEqual([
    expect.stringContaining('the evaluation started'),
    'new fixes',
    'new fixes',
    'new fixes',
  ]);
  await sql`delete from gates where id = ${race.gateIds[1] ?? ''}`;
  await at.settle(evaluator);
  const gone = await sql`
    select key, new_row, reason from result_changes where entry_id = ${entryId} and new_row is null`;
  expect(gone).toEqual([
    {
      key: `${race.eventId}/${entryId}/gate/${race.gateIds[1]}/1`,
      new_row: null,
      reason: 'the course changed',
    },
  ]);
});

test('each revision is announced with its changes; what Redis refuses is announced later, to be read from the tables', async () => {
  const { race, evaluator } = await openRace();
  await at.settle(evaluator);
  const key = resultsStream(race.eventId);
  const announced = async () => (await redis.xrange(key, '-', '+')).map(([, fields]) => fields);
  await redis.del(key);
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  const [[, revision, , revised, , changes = ''] = []] = await announced();
  expect(Number(revision)).toBe(await revisionOf(race.eventId));
  expect(revised).toBe(await revisedAtUs(race.eventId));
  expect(JSON.parse(changes)).toMatchObject({ passings: { rows: [{}, {}, {}], gone: [] } });

  await redis.del(key);
  await redis.set(key, 'no stream');
  await at.store(drive(race.imeis[1] ?? ''));
  await at.settle(evaluator);
  expect(await resultsStored(sql, race.eventId)).toEqual(await resultsFromScratch(sql, race.eventId));
  await redis.del(key);
  await at.settle(evaluator);
  const last = ['revision', String(await revisionOf(race.eventId))];
  expect(await announced()).toEqual([[...last, 'revised_at_us', await revisedAtUs(race.eventId)]]);
  await redis.del(key);
});

test('problems are listed while they last, as sentences, and harm nothing else', async () => {
  const { race, evaluator } = await openRace();
  await sql`update gates set right_latitude = left_latitude where id = ${race.gateIds[1] ?? ''}`;
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  const problems = () =>
    sql`select collection, row_id, is_refused from race_problems where event_id = ${race.eventId}`;
  expect(await problems()).toEqual([{ collection: 'gates', row_id: race.gateIds[1], is_refused: true }]);
  const { stage_results: results } = await resultsStored(sql, race.eventId);
  expect(results.filter(({ status }) => status === 'finished')).toHaveLength(1);
  await sql`update gates set right_latitude = left_latitude - 0.0005 where id = ${race.gateIds[1] ?? ''}`;
  await at.settle(evaluator);
  expect(await problems()).toEqual([]);
});

test('an event that ends before it starts has a problem and no results', async () => {
  const race = await insertSmallRace(sql, { hours: -1 });
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  await at.store([fixAt(race.imeis[0] ?? '', 0, 0, 0)]);
  await at.settle(evaluator);
  expect(await sql`select collection from race_problems where event_id = ${race.eventId}`).toEqual([
    { collection: 'events' },
  ]);
  expect((await resultsStored(sql, race.eventId)).classification).toEqual([]);
});

test('an event without a start begins when its first stage opens, and without any scheduled start it is refused', async () => {
  const { race, evaluator } = await openRace();
  await sql`update events set start_at = null where id = ${race.eventId}`;
  const finished = async () =>
    (await resultsStored(sql, race.eventId)).stage_results.filter(({ status }) => status === 'finished');
  await at.store(drive(race.imeis[0] ?? ''));
  await at.settle(evaluator);
  expect(await finished()).toEqual([]);
  const problems = () => sql`select message from race_problems where event_id = ${race.eventId}`;
  expect(await problems()).toMatchObject([{ message: expect.stringContaining('has no start') }]);

  // The stage opens 900 s before its scheduled start: after the drive, then before it.
  await sql`update stages set start_at = ${new Date(startAtMs + 1_100_000)} where id = ${race.stageId}`;
  await at.settle(evaluator);
  expect(await problems()).toEqual([]);
  expect(await finished()).toEqual([]);
  await sql`update stages set start_at = ${new Date(startAtMs + 900_000)} where id = ${race.stageId}`;
  await at.settle(evaluator);
  expect(await finished()).toHaveLength(1);
  expect(await resultsStored(sql, race.eventId)).toEqual(await resultsFromScratch(sql, race.eventId));
});

test('an SOS of a tracker whose clock is outside the time of the event counts from when it was stored', async () => {
  const race = await insertSmallRace(sql, { hours: 100_000 });
  await at.devices.refresh();
  const evaluator = await at.open(race.eventId);
  await at.store(drive(race.imeis[0] ?? '').slice(0, 30));
  await at.settle(evaluator);
  const incidents = () =>
    sql`select entry_id, rule, from_at > now() - interval '1 minute' as "isNow", is_open, is_position_good
          from incidents where event_id = ${race.eventId} order by from_at, entry_id`;
  expect(await incidents()).toEqual([]);
  // Hours before the event, and longer ago than PAST_LIMIT_MS, which has a table of its own.
  await at.store([fixAt(race.imeis[0] ?? '', -7200, 0, 0, { priority: 2 })]);
  await at.storePastLimit([fixAt(race.imeis[1] ?? '', -1e9, 0, 0, { priority: 2, satellites: 0 })]);
  await at.store([fixAt(race.imeis[2] ?? '', -7200, 0, 0)]);
  await at.settle(evaluator);
  const sos = { rule: 'sos', isNow: true, is_open: true };
  const expected = [
    { ...sos, entry_id: race.entryIds[0], is_position_good: true },
    { ...sos, entry_id: race.entryIds[1], is_position_good: false },
  ];
  expect(await incidents()).toEqual(expected);
  expect(await resultsStored(sql, race.eventId)).toEqual(await resultsFromScratch(sql, race.eventId));
  const stored = await resultsStored(sql, race.eventId);
  await at.settle(await at.open(race.eventId));
  expect(await resultsStored(sql, race.eventId)).toEqual(stored);
  expect(stored.passings).toHaveLength(2);
});

test('of an event that was deleted everything but the history goes, once nobody can be evaluating it', async () => {
  const [{ race, evaluator }, other] = [await openRace(), await openRace()];
  for (const one of [{ race, evaluator }, other]) {
    await sql`update stages set line = null where id = ${one.race.stageId}`;
    await at.store(drive(one.race.imeis[0] ?? ''));
    await at.settle(one.evaluator);
    await sql`insert into dirty_entries (event_id, device_id) values (${one.race.eventId}, 'any')`;
  }
  const count = async (eventId: string, tables: readonly string[]) =>
    await Promise.all(
      tables.map(async (table) => (await sql`select from ${sql(table)} where event_id = ${eventId}`).length),
    );
  const tables = [
    'passings',
    'stage_results',
    'classification',
    'race_problems',
    'dirty_entries',
    'evaluations',
  ];
  const before = await count(race.eventId, tables);
  expect(Math.min(...before)).toBeGreaterThan(0);
  await sql`delete from events where id = ${race.eventId}`;
  await deleteResultsOfDeletedEvents(at.client);
  expect(await count(race.eventId, tables)).toEqual(before);
  await sql`update evaluations set renewed_at = '-infinity'`;
  await deleteResultsOfDeletedEvents(at.client);
  expect(await count(race.eventId, tables)).toEqual(tables.map(() => 0));
  expect(await count(race.eventId, ['result_changes'])).not.toEqual([0]);
  expect(await count(other.race.eventId, tables)).toEqual(before);
});

test('a rule that failed for a tracker, and a stage that cannot be judged, are problems of their entry', async () => {
  const { race } = await openRace();
  const loaded = await loadRace(sql, race.eventId);
  if (!loaded) throw new Error('no event');
  const { checked } = prepareInputs(loaded);
  const [entryId = ''] = race.entryIds;
  const failure = { rule: 'gate', ruleVersion: 1, deviceId: '356', fixAtMs: 0, message: 'a bug' };
  const nothing = { passings: [], waypoints: [], zoneEpisodes: [], incidents: [], stages: [] };
  const judgeFailures = [
    { stageId: race.stageId, message: 'a bug' },
    { stageId: undefined, message: 'another' },
  ];
  expect(failureProblems(checked, [{ entryId, ...nothing, failures: [failure], judgeFailures }])).toEqual([
    {
      collection: 'entries',
      id: entryId,
      message:
        'The rule gate (version 1) failed for the device 356 of the entry 1 at its fix of 1970-01-01T00:00:00.000Z (a bug); ' +
        'it is not used for this device, and results that need it are incomplete.',
      isRefused: false,
    },
    {
      collection: 'entries',
      id: entryId,
      message: 'The stage SS 1 cannot be judged for the entry 1 (a bug); it has no results there.',
      isRefused: false,
    },
    {
      collection: 'entries',
      id: entryId,
      message: 'SOS of the entry 1 cannot be judged (another); none is shown.',
      isRefused: false,
    },
  ]);
});
