import { randomUUID } from 'node:crypto';
import { migrate } from '@app/migrate/migrate';
import { asRole } from '@app/test-kit/as-role';
import { startPostgres } from '@app/test-kit/postgres';
import { writeRevision } from '@app/test-kit/result-rows';
import { startRedisWithUsers } from '@app/test-kit/redis-with-users';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { untilRevision } from './support/held-results.ts';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import { connect, connectBatched } from './support/viewer.ts';

const password = 'of-this-test';

/** Commands that the shipped Redis user may run; `auth` cannot be denied. */
const allowed = new Set([
  'auth',
  'hello',
  'ping',
  'quit',
  'reset',
  'info',
  'client|id',
  'client|setname',
  'xread',
  'xinfo|stream',
  'xinfo|groups',
  'multi',
  'exec',
  'unwatch',
  'time',
]);

async function openDatabase() {
  const database = await startPostgres();
  onTestFinished(() => database[Symbol.asyncDispose]());
  await migrate(database.url, {
    logins: [{ name: 'live_gateway', memberOf: 'tracking_gateway', password }],
  });
  return { postgresUrl: database.url, gatewayPostgresUrl: asRole(database.url, 'live_gateway', password) };
}

test('with the shipped rights a gateway serves snapshots, live positions and results', async () => {
  await using redis = await startRedisWithUsers();
  const { postgresUrl, gatewayPostgresUrl } = await openDatabase();
  await using fixture = await openFixture({ redisUrl: redis.urlOf('admin'), postgresUrl });
  const { eventId, devices } = await fixture.addEvent(2);
  const [stored, streamed] = [deviceAt(devices, 0), deviceAt(devices, 1)];
  await fixture.store(fixOf(stored));
  await fixture.publish(fixOf(streamed));

  const gateway = await fixture.start({
    redisUrl: redis.urlOf('live-gateway'),
    postgresUrl: gatewayPostgresUrl,
  });
  await gateway.ready();
  const { session, userId } = fixture.addViewer(eventId);
  await fixture.sql`insert into directus_users (id, status) values (${userId}, 'active')`;
  using viewer = await connect(gateway.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  const { snapshot } = await viewer.next('subscribed');
  expect(new Set(snapshot.map(({ deviceId }) => deviceId))).toEqual(new Set([stored.imei, streamed.imei]));
  await fixture.publish(fixOf(stored, { speedKmh: 99 }));
  expect(await viewer.next('position')).toMatchObject({ deviceId: stored.imei, speed: 99 });

  const topic = `results:${eventId}`;
  viewer.send({ type: 'subscribe', topic });
  await untilRevision(viewer, topic, 0);
  const write = () => writeRevision(fixture, eventId, { announced: 'with changes' });
  await untilRevision(viewer, topic, await write());
  await untilRevision(viewer, topic, await write());
  expect(await gateway.metric('live_results_revisions_total', { source: 'stream' })).toBeGreaterThan(0);

  // The lag is measured without the lag-marker group, whose absence is logged once.
  await expect.poll(() => gateway.metric('live_stream_lag_seconds'), { timeout: 10_000 }).toBe(0);
  await expect
    .poll(() => gateway.log.filter(({ msg }) => String(msg).startsWith('lag-marker group disabled')), {
      timeout: 10_000,
    })
    .toHaveLength(1);
  expect(await fixture.redis.xinfo('GROUPS', fixture.stream)).toEqual([]);
  // The gateway can read suspended users.
  await fixture.sql`update directus_users set status = 'suspended' where id = ${userId}`;
  expect(await viewer.closed(10_000)).toBe(4001);
  expect(await gateway.stop()).toBe(0);
  const problems = gateway.log.filter(({ level }) => ['warn', 'error', 'fatal'].includes(String(level)));
  // A busy machine may have stopped it.
  expect(problems.filter(({ msg }) => !String(msg).startsWith('process did not run'))).toEqual([]);
});

test('without the right to read announced results they arrive by comparing revisions, which is logged once', async () => {
  await using redis = await startRedisWithUsers();
  await using fixture = await openFixture({ redisUrl: redis.urlOf('admin') });
  // As by an older users.sh.
  await fixture.redis.call('ACL', 'SETUSER', 'live-gateway', 'clearselectors');
  const { eventId, devices } = await fixture.addEvent(1);
  const gateway = await fixture.start({ redisUrl: redis.urlOf('live-gateway') });
  await gateway.ready();
  using viewer = await connect(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
  const topic = `results:${eventId}`;
  viewer.send({ type: 'subscribe', topic });
  await untilRevision(viewer, topic, 0);
  for (const announced of ['with changes', 'without changes'] as const) {
    await untilRevision(viewer, topic, await writeRevision(fixture, eventId, { announced }));
  }
  viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
  await fixture.publish(fixOf(deviceAt(devices)));
  await viewer.next('position');
  const refusals = gateway.log.filter(({ msg }) =>
    String(msg).startsWith('the Redis user may not read results'),
  );
  expect(refusals).toHaveLength(1);
});

test('with the shipped rights a device disappears when it is archived; without that right it stays, and a warning says so', async () => {
  const { postgresUrl, gatewayPostgresUrl } = await openDatabase();
  await using fixture = await openFixture({ postgresUrl });
  const { eventId, devices } = await fixture.addEvent(2);
  const archived = deviceAt(devices, 0);
  const start = async () => {
    const gateway = await fixture.start({ postgresUrl: gatewayPostgresUrl, instanceId: randomUUID() });
    await gateway.ready();
    return gateway;
  };
  const watch = async (gateway: RunningGateway) => {
    const viewer = await connectBatched(gateway.wsUrl, { session: fixture.addViewer(eventId).session });
    viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
    return { viewer, devices: (await viewer.next('subscribed')).devices };
  };
  const gateway = await start();
  const first = await watch(gateway);
  using viewer = first.viewer;
  expect(first.devices).toBe(2);
  await fixture.sql`update devices set status = 'archived' where id = ${archived.id}`;
  await viewer.next('devices', ({ removed }) => removed.includes(archived.id), 20_000);

  await fixture.sql`revoke select (status) on devices from tracking_gateway`;
  const withoutRight = await start();
  const second = await watch(withoutRight);
  second.viewer[Symbol.dispose]();
  expect(second.devices).toBe(2);
  expect(withoutRight.log).toContainEqual(expect.objectContaining({ tables: ['devices'], level: 'warn' }));
});

test('every Redis command that the gateway does not need is denied', async () => {
  await using servers = await startRedisWithUsers();
  const admin = new Redis(servers.urlOf('admin'));
  const gateway = new Redis(servers.urlOf('live-gateway'));
  onTestFinished(() => {
    admin.disconnect();
    gateway.disconnect();
  });
  await admin.xadd('telemetry:x', '1-0', 'a', 'b');
  await admin.xgroup('CREATE', 'telemetry:x', 'processor', '0');
  const commands = parseCommands(await admin.call('COMMAND'));
  expect(commands.length).toBeGreaterThan(300);

  const permitted: string[] = [];
  for (const { name, minArgs } of commands.filter((command) => !allowed.has(command.name))) {
    const [command = '', ...subcommand] = name.split('|');
    const keyCount = minArgs - 1 - subcommand.length;
    const args = [...subcommand, ...Array.from({ length: keyCount }, () => 'telemetry:x')];
    const result = await gateway.call(command, ...args).then(
      (reply) => `reply ${JSON.stringify(reply)}`,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    // DEBUG and MODULE are disabled for every user, before the ACL is checked.
    if (!/NOPERM|^ERR (?:DEBUG|MODULE) command not allowed/u.test(result))
      permitted.push(`${name}: ${result}`);
  }
  expect(permitted).toEqual([]);
  // Allowed commands are limited to the streams' keys.
  await expect(gateway.xread('COUNT', 1, 'STREAMS', 'other', '0')).rejects.toThrow(/NOPERM/u);
  expect(await gateway.xread('COUNT', 1, 'STREAMS', 'telemetry:x', '0')).not.toBeNull();
  expect(await admin.xinfo('GROUPS', 'telemetry:x')).toHaveLength(1);
  expect(await gateway.xread('COUNT', 1, 'STREAMS', 'results:x', '0')).toBeNull();
  await expect(gateway.xadd('results:x', '*', 'revision', 1)).rejects.toThrow(/NOPERM/u);
  await expect(gateway.xread('COUNT', 1, 'STREAMS', 'stored:x', '0')).rejects.toThrow(/NOPERM/u);
});

test('in Postgres the gateway can write and drop nothing, and read only what it needs', async () => {
  const { postgresUrl, gatewayPostgresUrl } = await openDatabase();
  const admin = postgres(postgresUrl, { max: 1 });
  const gateway = postgres(gatewayPostgresUrl, { max: 1, onnotice: () => undefined });
  onTestFinished(async () => {
    await Promise.all([admin.end(), gateway.end()]);
  });
  await admin`alter table devices add column sim_pin text`;
  const insert = `insert into positions
    (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    values ('a', now(), 1, 1, 1, 1, 1, 1, 1, '8')`;
  await admin.unsafe(insert);
  const readGrants = () => admin`
    select relname, relacl::text from pg_class where relnamespace = 'public'::regnamespace order by relname`;
  const before = await readGrants();
  for (const statement of [
    insert,
    'update positions set faulty = true',
    'delete from positions',
    'truncate positions',
    'drop table positions',
    'alter table positions add column planted int',
    'alter table positions owner to live_gateway',
    'select from positions for update',
    'insert into events (id) values (gen_random_uuid())',
    'update devices set imei = null',
    'delete from entries',
    'truncate entry_devices',
    'select * from decisions',
    'select * from race_problems',
    'select * from result_changes',
    'select * from dirty_entries',
    'delete from passings',
    'update classification set place = 1',
    'insert into stage_results select * from stage_results',
    'create table planted (a int)',
    'create function planted() returns int language sql as $$ select 1 $$',
    'create schema planted',
    'create index on positions (speed)',
    'select * from directus_users',
    'select sim_pin from devices',
    'select * from devices',
    'select * from pg_authid',
    "copy positions to program 'cat'",
    "copy positions from '/etc/passwd'",
    "select pg_read_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    'select set_positions_retention(null)',
    'select positions_use_timescaledb()',
    'select grant_least_rights()',
    'create role planted',
    'set role tracking_processor',
    "alter system set work_mem = '1GB'",
    'select pg_reload_conf()',
    'checkpoint',
  ]) {
    const code = await gateway.unsafe(statement).then(() => 'done', codeOf);
    expect(`${statement}: ${code}`).toBe(`${statement}: 42501`);
  }
  // Postgres only warns about a grant without effect.
  await gateway.unsafe('grant select, insert on positions to public');
  expect(await readGrants()).toEqual(before);
  expect(await gateway`select from positions`).toHaveLength(1);
  for (const table of [
    'passings',
    'waypoint_results',
    'zone_episodes',
    'incidents',
    'stage_results',
    'classification',
    'vehicle_states',
  ]) {
    expect(await gateway.unsafe(`select * from ${table}`)).toEqual([]);
  }
});

function codeOf(error: unknown): string {
  return error instanceof postgres.PostgresError ? error.code : String(error);
}

interface Command {
  /** For a subcommand `xgroup|create`. */
  readonly name: string;
  /** Minimum number of arguments, the name included: with fewer Redis does not check the ACL. */
  readonly minArgs: number;
}

/** Parses the reply of COMMAND: name, arity, …, and last the same for each subcommand. */
function parseCommands(reply: unknown): readonly Command[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((command: unknown): readonly Command[] => {
    if (!Array.isArray(command)) return [];
    const subcommands = parseCommands(command[9]);
    if (subcommands.length > 0) return subcommands;
    return [{ name: String(command[0]), minArgs: Math.abs(Number(command[1])) }];
  });
}
