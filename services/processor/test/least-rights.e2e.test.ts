import { migrate } from '@app/migrate/migrate';
import { asRole } from '@app/test-kit/as-role';
import { eventually } from '@app/test-kit/eventually';
import { startPostgres } from '@app/test-kit/postgres';
import { startRedisWithUsers } from '@app/test-kit/redis-with-users';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { openFixture } from './support/open-fixture.ts';
import { pending } from './support/open-faulty-fixture.ts';
import { acceptRows, refuseRows } from './support/refuse-rows.ts';
import { cleanExit } from './support/start-processor.ts';
import { resultsStream } from '../src/domain/evaluator/announce-results.ts';
import { resultsFromScratch, resultsStored } from './support/results-from-scratch.ts';
import { drive, insertSmallRace } from './support/small-race.ts';
import { record, records, send, sendFields } from './support/telemetry.ts';

const password = 'of-this-test';

async function openServers() {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedisWithUsers());
  const database = stack.use(await startPostgres());
  await migrate(database.url, {
    logins: [{ name: 'processor', memberOf: 'tracking_processor', password }],
  });
  const owned = stack.move();
  onTestFinished(() => owned.disposeAsync());
  return {
    redis,
    postgresUrl: database.url,
    processorPostgresUrl: asRole(database.url, 'processor', password),
  };
}

test('a processor with the shipped rights stores, dead-letters, claims and stops without a permission error', async () => {
  const { redis, postgresUrl, processorPostgresUrl } = await openServers();
  await using fixture = await openFixture({ redisUrl: redis.urlOf('admin'), postgresUrl });
  const race = await insertSmallRace(fixture.sql);
  const start = (instance: string) =>
    fixture.start({
      redisUrl: redis.urlOf('processor'),
      postgresUrl: processorPostgresUrl,
      env: { INSTANCE_ID: instance, MAX_DELIVERIES: '1' },
    });
  const sent = [...(await send(fixture.redis, fixture.stream, records(200)))];
  const old = record({ deviceId: 'old', fixAtMs: Date.UTC(2001, 0, 1) });
  const conflict = record({ ...old.position, latitude: 1 });
  sent.push(...(await send(fixture.redis, fixture.stream, [old, old, conflict])));
  const first = await start('first');
  const [garbage] = await sendFields(fixture.redis, fixture.stream, [['payload', 'no JSON']]);
  if (garbage === undefined) throw new Error('no entry was sent');
  sent.push(garbage);
  const deadLettered = new Map([
    [garbage.id, 'missing_field'],
    [sent[202]?.id ?? '', 'same_time'],
  ]);
  await fixture.expectStored(sent, { deadLettered });

  // A second processor claims what the first left in the middle of an insert, and quarantines it.
  await refuseRows(fixture.sql, '*', '53100');
  await fixture.sql`grant select on refused_rows to tracking_processor`;
  sent.push(...(await send(fixture.redis, fixture.stream, records(20, { from: 200 }))));
  await eventually(async () => (await pending(fixture, 'first')) === 20);
  await first.crash();
  await acceptRows(fixture.sql, '*');
  const second = await start('second');
  sent.push(...(await send(fixture.redis, fixture.stream, [record({ deviceId: 'another' })])));
  await fixture.expectStored(sent, { deadLettered });

  // Results are computed, announced and corrected.
  await send(fixture.redis, fixture.stream, drive(race.imeis[0] ?? ''));
  const evaluated = () =>
    eventually(async () => {
      const results = await resultsStored(fixture.sql, race.eventId);
      expect(results).toEqual(await resultsFromScratch(fixture.sql, race.eventId));
      return results.passings.length;
    });
  await eventually(async () => (await evaluated()) === 3);
  await fixture.sql`delete from gates where id = ${race.gateIds[1] ?? ''}`;
  await eventually(async () => (await evaluated()) === 2);
  expect(await fixture.redis.xlen(resultsStream(race.eventId))).toBeGreaterThan(1);
  expect(await second.stop()).toEqual(cleanExit);

  const log = await fixture.redis.call('ACL', 'LOG');
  // ioredis sends CLIENT SETINFO, which Redis 7.0 does not know.
  const refused = (Array.isArray(log) ? log.map(String) : ['no log']).filter(
    (line) => !line.includes('client|setinfo'),
  );
  expect(refused).toEqual([]);
});

test('a processor may read what results are computed from, write results, and add to their history', async () => {
  const { processorPostgresUrl } = await openServers();
  const processor = postgres(processorPostgresUrl, { max: 1 });
  onTestFinished(() => processor.end());
  for (const statement of [
    'select id, name, start_at, end_at, race_status, thresholds from events',
    'select id, event_id, status, line from stages',
    'select id, stage_id, left_latitude, right_longitude from gates',
    'select id, stage_id, kind, latitude from waypoints',
    'select id, stage_id, polygon, from_waypoint_id from zones',
    'select id, event_id, number, crew, class, start_order, start_at, race_status, status from entries',
    'select entry_id, device_id, order_number, from_at, until_at from entry_devices',
    'select id, imei, status from devices',
    'select id, entry_id, kind, at, reason, decided_by from decisions',
    ...[
      'passings',
      'waypoint_results',
      'zone_episodes',
      'incidents',
      'stage_results',
      'classification',
    ].flatMap((table) => [
      `select * from ${table}`,
      `insert into ${table} select * from ${table}`,
      `update ${table} set rule_version = 2`,
      `delete from ${table}`,
    ]),
    'select * from vehicle_states',
    'insert into vehicle_states select * from vehicle_states',
    "update vehicle_states set state = 'moving'",
    'delete from vehicle_states',
    'select * from sos_records',
    'insert into race_problems (event_id, collection, row_id, message, is_refused) ' +
      'select event_id, collection, row_id, message, is_refused from race_problems',
    'delete from race_problems',
    'insert into dirty_entries (event_id, device_id) select event_id, device_id from dirty_entries ' +
      'on conflict (event_id, device_id) do update set changes = dirty_entries.changes + 1',
    'delete from dirty_entries',
    'select * from faulty_changes',
    'delete from faulty_changes',
    'select imei, from_at, until_at, problem from faulty_marks',
    'insert into evaluations (event_id, holder) values (gen_random_uuid(), 1)',
    'update evaluations set revision = 2 returning epoch',
    'delete from evaluations',
    `insert into result_changes (event_id, entry_id, table_name, key, reason)
     values (gen_random_uuid(), gen_random_uuid(), 'passings', 'key', 'a test')`,
  ]) {
    const outcome = await processor.unsafe(statement).then(() => 'done', codeOf);
    expect(`${statement}: ${outcome}`).toBe(`${statement}: done`);
  }
});

test('a processor can neither change stored positions nor access other tables', async () => {
  const { postgresUrl, processorPostgresUrl } = await openServers();
  const admin = postgres(postgresUrl, { max: 1 });
  await admin`insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    values ('a', now(), 1, 1, 1, 1, 1, 1, 1, '8')`;
  const processor = postgres(processorPostgresUrl, { max: 1 });
  onTestFinished(async () => {
    await Promise.all([admin.end(), processor.end()]);
  });
  for (const statement of [
    "update positions set speed = 0 where device_id = 'a'",
    'delete from positions',
    'truncate positions',
    'drop table positions',
    'update positions_past_limit set speed = 0',
    'delete from positions_past_limit',
    'alter table positions add column planted int',
    'create table planted (a int)',
    'create index on positions (speed)',
    'select * from directus_users',
    'select * from events',
    'select * from event_viewers',
    "update events set race_status = 'finished'",
    'delete from decisions',
    "update positions set faulty = true where device_id = 'a'",
    'insert into faulty_changes (device_id, fix_at) values (1, now())',
    'select * from result_changes',
    "update result_changes set reason = ''",
    'delete from result_changes',
    'truncate result_changes',
    'drop table passings',
    'select set_positions_retention(null)',
    'select grant_least_rights()',
    'create role planted',
    'set role tracking_gateway',
  ]) {
    const code = await processor.unsafe(statement).then(() => 'done', codeOf);
    expect(`${statement}: ${code}`).toBe(`${statement}: 42501`);
  }
  expect(await processor`select from positions`).toHaveLength(1);
});

function codeOf(error: unknown): string {
  return error instanceof postgres.PostgresError ? error.code : String(error);
}
