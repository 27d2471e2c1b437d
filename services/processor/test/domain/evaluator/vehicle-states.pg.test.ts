import { randomUUID } from 'node:crypto';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { resultsStream } from '../../../src/domain/evaluator/announce-results.ts';
import type { EventEvaluator } from '../../../src/domain/evaluator/event-evaluator.ts';
import { storedStream } from '../../../src/domain/stored-fixes.ts';
import { openEvaluation } from '../../support/evaluation.ts';
import { drive, fixAt, insertSmallRace, type SmallRace } from '../../support/small-race.ts';

const never = new AbortController().signal;
const at = await openEvaluation();
const { sql, redis } = at;
afterAll(() => at[Symbol.asyncDispose]());

let race: SmallRace;
let evaluator: EventEvaluator;
let imei: string;

beforeEach(async () => {
  at.stored.untilMs = Date.now();
  race = await insertSmallRace(sql, { entries: 2, hours: 100_000 });
  await at.devices.refresh();
  evaluator = await at.open(race.eventId);
  [imei = ''] = race.imeis;
});

/** What the table holds after an evaluation with everything stored until that time, in the order of the entries. */
async function statesAt(untilMs: number | undefined, by = evaluator): Promise<readonly unknown[]> {
  at.stored.untilMs = untilMs;
  await by.evaluate(never);
  const rows = await sql`select entry_id, state from vehicle_states where event_id = ${race.eventId}`;
  return race.entryIds.map((id) => rows.find((row) => row['entry_id'] === id)?.['state']);
}

async function revision(): Promise<unknown> {
  return (await sql`select revision from evaluations where event_id = ${race.eventId}`)[0]?.['revision'];
}

/** Evaluated until then, an evaluation reads Directus' tables again. */
async function reload(): Promise<void> {
  evaluator = await at.open(race.eventId);
}

test('silent and lost follow from when records arrived, whatever the clock of the tracker says', async () => {
  expect(await statesAt(Date.now())).toEqual(['lost', 'lost']);
  // In the time of the event by the first tracker's clock, which is months late; years before it by the other's.
  const beforeMs = Date.now();
  await at.store([fixAt(imei, 60, 0, 0), fixAt(race.imeis[1] ?? '', -1e8, 0, 0)]);
  const afterMs = Date.now();
  expect(await statesAt(beforeMs)).toEqual(['moving', 'moving']);
  expect(await statesAt(beforeMs + 29_999)).toEqual(['moving', 'moving']);
  expect(await statesAt(afterMs + 30_001)).toEqual(['silent', 'silent']);
  expect(await statesAt(beforeMs + 599_999)).toEqual(['silent', 'silent']);
  expect(await statesAt(afterMs + 600_001)).toEqual(['lost', 'lost']);
  const rows = await sql`
    select extract(epoch from since)::float8 * 1000 as since, extract(epoch from last_record_at)::float8 * 1000 as last
      from vehicle_states where event_id = ${race.eventId}`;
  for (const row of rows) {
    expect(row['since']).toBe(afterMs + 600_001);
    expect(row['last']).toBeGreaterThanOrEqual(beforeMs - 1);
    expect(row['last']).toBeLessThanOrEqual(afterMs + 1);
  }
  await at.store([fixAt(imei, 59, 0, 0)]);
  expect(await statesAt(Date.now())).toEqual(['moving', 'moving']);
});

test('an evaluator that starts finds states by when positions were stored, and by the stream for wrong clocks', async () => {
  await at.store([fixAt(race.imeis[1] ?? '', -1e8, 0, 0)]);
  await at.store([fixAt(imei, 60, 0, 0)]);
  expect(await statesAt(Date.now(), await at.open(race.eventId))).toEqual(['moving', 'moving']);
  await redis.del(storedStream(race.eventId));
  await sql`update positions set ingested_at = ingested_at - interval '1 hour' where device_id = ${race.imeis[1] ?? ''}`;
  await sql`delete from vehicle_states`;
  const next = await at.open(race.eventId);
  expect(await statesAt(Date.now(), next)).toEqual(['moving', 'lost']);
  expect(await statesAt(Date.now() + 60_000, next)).toEqual(['silent', 'lost']);
});

test('while records wait to be stored, nobody becomes silent', async () => {
  await at.store(drive(imei).slice(0, 5));
  const arrivedMs = Date.now();
  expect(await statesAt(arrivedMs)).toEqual(['moving', 'lost']);
  expect(await statesAt(undefined)).toEqual(['moving', 'lost']);
  // Until when everything is stored, not what time it is, decides.
  expect(await statesAt(arrivedMs - 3_600_000)).toEqual(['moving', 'lost']);
  expect(await statesAt(arrivedMs + 31_000)).toEqual(['silent', 'lost']);
  expect(await statesAt(undefined)).toEqual(['silent', 'lost']);
});

test('no_fix, standing and the thresholds of the event', async () => {
  await sql`update events set thresholds = '{"silentAfterS": 100, "noFixAfterS": 50}' where id = ${race.eventId}`;
  await reload();
  await at.store([fixAt(imei, 60, 0, 0)]);
  const beforeMs = Date.now();
  await at.store([fixAt(imei, 61, 0, 0, { satellites: 0 })]);
  expect(await statesAt(beforeMs + 49_000)).toEqual(['moving', 'lost']);
  expect(await statesAt(Date.now() + 50_001)).toEqual(['no_fix', 'lost']);
  expect(await statesAt(beforeMs + 99_000)).toEqual(['no_fix', 'lost']);
  expect(await statesAt(Date.now() + 100_001)).toEqual(['silent', 'lost']);

  await at.store([fixAt(imei, 62, 100, 0), fixAt(imei, 121, 101, 0, { speedKmh: 0 })]);
  expect(await statesAt(Date.now())).toEqual(['moving', 'lost']);
  await at.store([fixAt(imei, 122, 101, 0, { speedKmh: 0 })]);
  expect(await statesAt(Date.now())).toEqual(['standing', 'lost']);
  await at.store([fixAt(imei, 123, 150, 0)]);
  expect(await statesAt(Date.now())).toEqual(['moving', 'lost']);
});

test('an SOS until it is resolved, and with two trackers the state of the better one', async () => {
  const assignmentId = randomUUID();
  await sql`
    insert into entry_devices (id, entry_id, device_id)
    values (${assignmentId}, ${race.entryIds[1] ?? ''}, ${race.deviceIds[2] ?? ''})`;
  await at.devices.refresh();
  await reload();
  await at.store([fixAt(imei, 60, 0, 0, { priority: 2 }), fixAt(race.imeis[1] ?? '', 60, 0, 0)]);
  expect(await statesAt(Date.now() + 700_000)).toEqual(['sos', 'lost']);
  await at.store([fixAt(race.imeis[2] ?? '', 60, 0, 0, { satellites: 0 })]);
  const [sos] = await sql`select since, tracker_state from vehicle_states where state = 'sos'`;
  expect(sos?.['tracker_state']).toBe('lost');
  expect(await statesAt(Date.now())).toEqual(['sos', 'moving']);
  // Apart from the SOS it moves, and that is no other SOS.
  expect(await sql`select since, tracker_state from vehicle_states where state = 'sos'`).toEqual([
    { since: sos?.['since'], tracker_state: 'moving' },
  ]);
  await sql`
    insert into decisions (id, entry_id, kind, incident, at)
    values (gen_random_uuid(), ${race.entryIds[0] ?? ''}, 'incident_resolved', 'sos', now())`;
  // From now on the second tracker of the second entry is another entry's.
  await sql`update entry_devices set until_at = now() - interval '1 second' where id <> ${assignmentId}
    and entry_id = ${race.entryIds[1] ?? ''}`;
  await reload();
  expect(await statesAt(Date.now())).toEqual(['moving', 'no_fix']);
  await sql`delete from entry_devices where entry_id = ${race.entryIds[1] ?? ''}`;
  await reload();
  expect(await statesAt(Date.now())).toEqual(['moving', undefined]);
});

test('only changes are written, and announced, without history; none is left when the event is over', async () => {
  await at.store(drive(imei).slice(0, 5));
  await statesAt(Date.now());
  const before = await revision();
  await statesAt(Date.now() + 10_000);
  await at.store([fixAt(imei, 300, 0, 0, { satellites: 0 })]);
  await statesAt(Date.now() + 20_000);
  expect(await revision()).toBe(before);
  expect(await statesAt(Date.now() + 40_000)).toEqual(['silent', 'lost']);
  expect(await revision()).toBe(String(Number(before) + 1));
  const [[, fields] = []] = await redis.xrevrange(resultsStream(race.eventId), '+', '-', 'COUNT', 1);
  expect(JSON.parse(fields?.at(-1) ?? '')).toMatchObject({
    vehicle_states: { rows: [{ entry_id: race.entryIds[0], state: 'silent' }], gone: [] },
    passings: { rows: [], gone: [] },
  });
  await evaluator.evaluate(never, true);
  expect(await sql`select from vehicle_states where event_id = ${race.eventId}`).toEqual([]);
  expect(
    await sql`select from result_changes where event_id = ${race.eventId} and table_name = 'vehicle_states'`,
  ).toEqual([]);
});
