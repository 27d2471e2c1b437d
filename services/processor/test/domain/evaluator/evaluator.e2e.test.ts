import { eventually } from '@app/test-kit/eventually';
import { startOwnRedis } from '@app/test-kit/redis';
import { expect, onTestFinished, test } from 'vitest';
import { resultsStream } from '../../../src/domain/evaluator/announce-results.ts';
import { storedStream } from '../../../src/domain/stored-fixes.ts';
import { openFixture, type Fixture } from '../../support/open-fixture.ts';
import { resultsFromScratch, resultsStored } from '../../support/results-from-scratch.ts';
import { drive, fixAt, insertSmallRace, type SmallRace, startAtMs } from '../../support/small-race.ts';
import { lockPositions } from '../../support/open-faulty-fixture.ts';
import { send } from '../../support/telemetry.ts';

const patience = { timeoutMs: 60_000, intervalMs: 100 };

/** Waits until the tables hold what the rules make of the data, and returns it. */
async function expectSettled({ sql }: Fixture, { eventId }: SmallRace) {
  return await eventually(async () => {
    const stored = await resultsStored(sql, eventId);
    expect(stored).toEqual(await resultsFromScratch(sql, eventId));
    return stored;
  }, patience);
}

async function expectFinished(fixture: Fixture, race: SmallRace, count: number) {
  await eventually(async () => {
    const { stage_results: rows } = await expectSettled(fixture, race);
    expect(rows.filter(({ status }) => status === 'finished')).toHaveLength(count);
    return true;
  }, patience);
}

test('results follow fixes in any order, marks, the course, assignments and decisions; each change has a reason', async () => {
  await using fixture = await openFixture();
  const { redis, sql, stream } = fixture;
  const race = await insertSmallRace(sql);
  const [first = '', second = '', third = '', spare = ''] = race.imeis;
  const processor = await fixture.start();
  await processor.logged(/^evaluating the event$/u);

  // In order, newest first, and with a hole that is filled later.
  await send(redis, stream, drive(first));
  await send(redis, stream, drive(second, { speedKmh: 20 }).toReversed());
  const withHole = drive(third, { speedKmh: 20 });
  await send(redis, stream, [...withHole.slice(0, 60), ...withHole.slice(90, 180)]);
  await expectFinished(fixture, race, 2);
  await send(redis, stream, [...withHole.slice(180), ...withHole.slice(60, 90)]);
  await send(redis, stream, drive(first));
  await expectFinished(fixture, race, 3);
  // All have sent just now, whatever the times of their fixes are.
  const states = await sql`select state from vehicle_states where event_id = ${race.eventId}`;
  expect(states.map(({ state }) => String(state))).toEqual(['moving', 'moving', 'moving']);

  // The fixes around the finish are marked as faulty: it is not passed.
  await sql`
    insert into faulty_marks (device_id, from_at, until_at, reason)
    values (${race.deviceIds[0] ?? ''}, ${new Date(startAtMs + 105_000)}, ${new Date(startAtMs + 600_000)}, 'a test')`;
  await expectFinished(fixture, race, 2);
  await sql`delete from faulty_marks`;
  await expectFinished(fixture, race, 3);

  await sql`update gates set left_longitude = 25.03, right_longitude = 25.03 where id = ${race.gateIds[2] ?? ''}`;
  await expectFinished(fixture, race, 0);
  await sql`update gates set left_longitude = 25.018, right_longitude = 25.018 where id = ${race.gateIds[2] ?? ''}`;
  await expectFinished(fixture, race, 3);

  // The spare has sent before it is in an entry.
  await send(redis, stream, drive(spare, { speedKmh: 50 }));
  await eventually(async () => (await sql`select from positions where device_id = ${spare}`).length > 80);
  await sql`update entry_devices set device_id = ${race.deviceIds[3] ?? ''} where id = ${race.assignmentIds[0] ?? ''}`;
  await eventually(async () => {
    const { passings } = await expectSettled(fixture, race);
    expect(passings.filter((row) => row['device_id'] === spare)).toHaveLength(3);
    return true;
  }, patience);

  await sql`
    insert into decisions (id, entry_id, kind, decided_status, reason)
    values (gen_random_uuid(), ${race.entryIds[1] ?? ''}, 'status', 'dsq', 'no helmet')`;
  await expectFinished(fixture, race, 2);
  await sql`delete from decisions`;
  await expectFinished(fixture, race, 3);

  const changes = await sql<{ reason: string }[]>`
    select distinct reason from result_changes where event_id = ${race.eventId}`;
  const reasons = new Set(changes.flatMap(({ reason }) => reason.split('; ')));
  for (const reason of [
    'late or repeated fixes',
    'a fix was marked or unmarked as faulty',
    'the course changed',
    'assignments changed',
    'entry or decisions changed',
  ]) {
    expect(reasons).toContain(reason);
  }
  const entries = await redis.xrevrange(resultsStream(race.eventId), '+', '-', 'COUNT', 1);
  const [evaluation] = await sql`select revision from evaluations where event_id = ${race.eventId}`;
  expect(entries[0]?.[1]?.[1]).toBe(evaluation?.['revision']);
  expect(await processor.stop()).toMatchObject({ code: 0 });
});

test('a processor killed at any moment leaves results that the next one completes', async () => {
  await using fixture = await openFixture();
  const { redis, sql, stream } = fixture;
  const race = await insertSmallRace(sql);
  const records = race.imeis.flatMap((imei, n) => drive(imei, { speedKmh: 60 + 10 * n }));
  for (let round = 0; round < 4; round += 1) {
    const processor = await fixture.start();
    await send(
      redis,
      stream,
      records.filter((_, n) => n % 4 === round),
    );
    // Somewhere between the commit, what follows it, and the evaluation.
    const least = Math.ceil(((round + Math.random()) / 4) * records.length);
    await eventually(async () => (await sql`select from positions`).length >= least, {
      ...patience,
      intervalMs: 1,
    });
    await processor.crash();
  }
  await fixture.start();
  await expectFinished(fixture, race, 3);
});

test('at the memory limit of Redis fixes are stored, and devices are evaluated through dirty_entries', async () => {
  await using ownRedis = await startOwnRedis({ keepsData: false });
  await using fixture = await openFixture({ redisUrl: ownRedis.url });
  const { redis, sql, stream } = fixture;
  const race = await insertSmallRace(sql);
  const processor = await fixture.start({ env: { WRITE_TIMEOUT_MS: '20000' } });
  await processor.logged(/^evaluating the event$/u);
  const lock = await lockPositions(fixture);
  await send(
    redis,
    stream,
    race.imeis.flatMap((imei) => drive(imei)),
  );
  await redis.config('SET', 'maxmemory', '1');
  await lock.release();
  await processor.logged(/^Redis refuses stored fixes/u);
  await expectFinished(fixture, race, 3);
  expect(await redis.xlen(storedStream(race.eventId))).toBe(0);
  await eventually(async () => (await sql`select from dirty_entries`).length === 0, patience);
  await redis.config('SET', 'maxmemory', '0');
  await send(redis, stream, [fixAt(race.imeis[0] ?? '', 200, 0, 500, { priority: 2 })]);
  await processor.logged(/^Redis accepts stored fixes again$/u);
  await expectSettled(fixture, race);
});

test('two processors store side by side and one evaluates, also after its stream was trimmed unread', async () => {
  await using fixture = await openFixture();
  const { redis, sql, stream } = fixture;
  const race = await insertSmallRace(sql);
  const evaluating = await fixture.start({ env: { INSTANCE_ID: 'one', EVALUATE_EVENTS: race.eventId } });
  await fixture.start({ env: { INSTANCE_ID: 'two', EVALUATE_EVENTS: 'none' } });
  await evaluating.logged(/^evaluating the event$/u);
  const half = (n: number) => race.imeis.flatMap((imei) => drive(imei).filter((_, at) => at % 2 === n));
  for (const record of half(0)) await send(redis, stream, [record]);
  await expectSettled(fixture, race);

  evaluating.kill('SIGSTOP');
  onTestFinished(() => evaluating.kill('SIGCONT'));
  await send(redis, stream, half(1));
  await eventually(
    async () => (await sql`select from positions`).length === half(0).length + half(1).length,
    patience,
  );
  await redis.xtrim(storedStream(race.eventId), 'MAXLEN', 0);
  evaluating.kill('SIGCONT');
  await evaluating.logged(/^stored fixes of the event were missed/u);
  await expectFinished(fixture, race, 3);
});

test('of two processors that may evaluate one does; when it is killed the other takes the event over', async () => {
  await using fixture = await openFixture();
  const { redis, sql, stream } = fixture;
  const race = await insertSmallRace(sql);
  const first = await fixture.start({ env: { INSTANCE_ID: 'one' } });
  await first.logged(/^evaluating the event$/u);
  await fixture.start({ env: { INSTANCE_ID: 'two' } });
  const [imei = '', ...others] = race.imeis;
  await send(redis, stream, drive(imei));
  await expectFinished(fixture, race, 1);
  const holder = async () => (await sql`select holder, epoch from evaluations`)[0];
  expect(await holder()).toEqual({ holder: 'one', epoch: '1' });
  await first.crash();
  await send(
    redis,
    stream,
    others.flatMap((other) => drive(other)),
  );
  await expectFinished(fixture, race, 3);
  expect(await holder()).toEqual({ holder: 'two', epoch: '2' });
});

test('without the tables of the course positions are stored, and it is said once that results are not computed', async () => {
  await using fixture = await openFixture();
  const { redis, sql, stream } = fixture;
  const race = await insertSmallRace(sql);
  await sql`alter table gates drop column dead_time_s`;
  await sql`alter table evaluations rename to before_the_migration`;
  const failedStatements = async () => {
    const [row] = await sql`select xact_rollback from pg_stat_database where datname = current_database()`;
    return Number(row?.['xact_rollback']);
  };
  const failedBefore = await failedStatements();
  const processor = await fixture.start();
  const sent = await send(
    redis,
    stream,
    race.imeis.flatMap((imei) => drive(imei)),
  );
  await fixture.expectStored(sent);
  await processor.logged(/^results are not computed/u);
  await eventually(async () => (await failedStatements()) >= failedBefore + 2, patience);
  await sql`alter table before_the_migration rename to evaluations`;
  await processor.logged(/^running events are read again/u);
  expect(await redis.exists(storedStream(race.eventId))).toBe(0);
  expect(await sql`select from evaluations`).toEqual([]);
  await processor.stop();
  for (const message of ['reading running events failed; retrying', 'running events are read again']) {
    expect(processor.lines.filter(({ msg }) => msg === message)).toHaveLength(1);
  }
});
