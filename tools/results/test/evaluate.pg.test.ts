import { randomUUID } from 'node:crypto';
import { resultsStream } from '@app/processor/evaluator/announce-results';
import { computeResults, evaluateOnce } from '@app/processor/evaluator/evaluate-once';
import { claimEvent, LeaseLostError } from '@app/processor/evaluator/event-lease';
import { openEvaluation } from '@app/processor/testing/evaluation';
import { resultsFromScratch, resultsStored } from '@app/processor/testing/results-from-scratch';
import { drive, insertSmallRace } from '@app/processor/testing/small-race';
import { findFreePort } from '@app/test-kit/free-port';
import { openServerFixture } from '@app/test-kit/server-fixture';
import { afterAll, expect, test } from 'vitest';
import { evaluateEvent } from '../src/evaluate/evaluate-event.ts';
import { runResults } from './support/run-results.ts';

const servers = await openServerFixture();
const at = servers.use(await openEvaluation(servers));
const { sql, redis } = at;
afterAll(() => servers[Symbol.asyncDispose]());

const withRedis = { POSTGRES_URL: servers.postgresUrl, REDIS_URL: servers.redisUrl };

/** Three entries that have driven the stage, and no evaluator. */
async function insertDrivenRace(status = 'finished') {
  const race = await insertSmallRace(sql);
  await sql`update events set race_status = ${status} where id = ${race.eventId}`;
  for (const imei of race.imeis) await at.write(drive(imei));
  return race;
}

function evaluate(eventId: string, ...args: readonly string[]) {
  return runResults(['evaluate', '--event', eventId, ...args], withRedis);
}

async function expectFromScratch(eventId: string): Promise<void> {
  const stored = await resultsStored(sql, eventId);
  expect(stored).toEqual(await resultsFromScratch(sql, eventId));
  expect(stored.passings.length).toBeGreaterThan(0);
}

async function revisionOf(eventId: string): Promise<number> {
  const [row] = await sql`select revision from evaluations where event_id = ${eventId}`;
  return Number(row?.['revision']);
}

const announced = async (eventId: string) =>
  (await redis.xrange(resultsStream(eventId), '-', '+')).map(([, fields]) => fields);

test('an event that is over gets its results, with the reason, announced; a second run changes nothing', async () => {
  const { eventId, imeis } = await insertDrivenRace();
  await sql`insert into dirty_entries (event_id, device_id) values (${eventId}, ${imeis[0] ?? ''})`;
  const { code, stdout, stderr } = await evaluate(eventId);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.replace(/[\d.]+ s\n$/u, '… s\n')).toBe(
    [
      'event Rally: 3 entries, 9 passings, 3 stage results',
      'passings: 9 added, 0 changed, 0 removed',
      'waypoint_results: 6 added, 0 changed, 0 removed',
      'zone_episodes: 3 added, 0 changed, 0 removed',
      'stage_results: 3 added, 0 changed, 0 removed',
      'classification: 6 added, 0 changed, 0 removed',
      'revision 1; 0 problems; took … s\n',
    ].join('\n'),
  );
  await expectFromScratch(eventId);
  const reasons = await sql`select distinct reason from result_changes where event_id = ${eventId}`;
  expect(reasons).toEqual([{ reason: 'evaluated on request' }]);
  expect(await sql`select from dirty_entries where event_id = ${eventId}`).toEqual([]);
  expect(await announced(eventId)).toEqual([
    ['revision', '1', 'revised_at_us', expect.any(String), 'changes', expect.stringContaining('passings')],
  ]);

  const again = await evaluate(eventId);
  expect(again.stdout).toContain('the tables hold these results already\nrevision 1; 0 problems');
  // Its announcement may have been lost.
  expect(await announced(eventId)).toHaveLength(2);
  // The lease was released: a processor takes the event over at once.
  expect(await claimEvent(at.client, eventId, 'processor-1')).toMatchObject({ revision: { revision: 1 } });
});

test('a dry run prints what would change and writes nothing', async () => {
  const { eventId, entryIds } = await insertDrivenRace();
  await evaluateEvent(at.client, eventId, false);
  await sql`
    insert into decisions (id, entry_id, kind, decided_status)
    values (gen_random_uuid(), ${entryIds[0] ?? ''}, 'status', 'dsq')`;
  await sql`delete from gates where name = 'Gate 1' and stage_id in (select id from stages where event_id = ${eventId})`;
  const before = [await resultsStored(sql, eventId), await sql`select * from evaluations`];
  const { code, stdout } = await evaluate(eventId, '--dry-run');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^change stage_results of entry 1 \(.*status finished → dsq/mu);
  expect(stdout).toMatch(/^remove passings of entry 2 \(gate\//mu);
  expect(stdout).toMatch(/^passings: would be 0 added, 0 changed, 3 removed$/mu);
  expect(stdout).toMatch(/^nothing was written; 0 problems/mu);
  expect([await resultsStored(sql, eventId), await sql`select * from evaluations`]).toEqual(before);
});

test('problems of the course are printed as sentences and listed for race control', async () => {
  const { eventId } = await insertDrivenRace();
  await sql`
    update gates set right_latitude = left_latitude, right_longitude = left_longitude
     where name = 'Gate 1' and stage_id in (select id from stages where event_id = ${eventId})`;
  const { stdout } = await evaluate(eventId);
  expect(stdout).toContain('\nproblem: The gate Gate 1: The posts are 0.00 m apart');
  const problems = await sql`select collection from race_problems where event_id = ${eventId}`;
  expect(problems).toEqual([{ collection: 'gates' }]);
});

test('a running event is left to its evaluator, and evaluated once that has expired', async () => {
  const { eventId } = await insertDrivenRace('running');
  await claimEvent(at.client, eventId, 'processor-1');
  const refused = await evaluate(eventId);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toBe(
    'the event is running: processor-1 evaluates it, and its results follow by themselves. To compare, use --dry-run\n',
  );
  expect(await sql`select from passings where event_id = ${eventId}`).toEqual([]);
  await sql`update evaluations set renewed_at = now() - interval '11 seconds' where event_id = ${eventId}`;
  await evaluateEvent(at.client, eventId, false);
  await expectFromScratch(eventId);
});

test('an event that another evaluator has taken over meanwhile is not written', async () => {
  const { eventId } = await insertDrivenRace();
  const lease = await claimEvent(at.client, eventId, 'request');
  if (!lease) throw new Error('not claimed');
  await sql`update evaluations set holder = 'processor-1', epoch = epoch + 1 where event_id = ${eventId}`;
  await expect(evaluateOnce(at.client, lease)).rejects.toThrow(LeaseLostError);
  expect(await sql`select from passings where event_id = ${eventId}`).toEqual([]);
});

test('the lease is kept between the devices, and a loss ends the evaluation', async () => {
  const { eventId, entryIds } = await insertDrivenRace();
  let calls = 0;
  await computeResults(at.client, eventId, async () => void (calls += 1));
  expect(calls).toBeGreaterThanOrEqual(entryIds.length + 1);
  await expect(
    computeResults(at.client, eventId, () => Promise.reject(new LeaseLostError('lost'))),
  ).rejects.toThrow(LeaseLostError);
});

test('when Redis does not answer, the results are written, and announced by the next run', async () => {
  const { eventId } = await insertDrivenRace();
  const port = await findFreePort();
  const env = { ...withRedis, REDIS_URL: `redis://127.0.0.1:${port}` };
  const { code, stderr } = await runResults(['evaluate', '--event', eventId], env);
  expect({ code, stderr }).toEqual({
    code: 69,
    stderr: expect.stringMatching(/^revision 1 is written but not announced: .*\. Run it again/u),
  });
  await expectFromScratch(eventId);
  expect(await revisionOf(eventId)).toBe(1);
  await evaluate(eventId);
  expect(await announced(eventId)).toEqual([['revision', '1', 'revised_at_us', expect.any(String)]]);
});

test('an unknown event, tables without a column and a server that does not answer are each a sentence', async () => {
  const unknown = randomUUID();
  expect(await evaluate(unknown)).toMatchObject({
    code: 1,
    stderr: `there is no event ${unknown}; Directus has its id at the end of the address of its page\n`,
  });
  await using other = await openServerFixture();
  const { eventId } = await insertSmallRace(other.sql);
  await other.sql`alter table gates drop column dead_time_s`;
  const run = (url: string) => runResults(['evaluate', '--event', eventId], { POSTGRES_URL: url });
  expect(await run(other.postgresUrl)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^Postgres lacks a table or column: .*; run \.\/run directus-setup/u),
  });
  const port = await findFreePort();
  expect(await run(`postgres://nobody@127.0.0.1:${port}/nothing`)).toMatchObject({
    code: 69,
    stderr: expect.stringMatching(/^Postgres does not answer: .*; check POSTGRES_URL/u),
  });
});
