import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { asRole } from '@app/test-kit/as-role';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { expect, onTestFinished, test } from 'vitest';
import { connectWhenReady } from '../../src/connect-when-ready.ts';
import { prune, type PruneOptions } from '../../src/prune/prune.ts';

const main = fileURLToPath(new URL('../../src/prune/main.ts', import.meta.url));
const migrateMain = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const password = 'of-this-test';
const nothing = { what: 'rows', count: 0, pastLimitRows: 0, isDone: true };

/** A database with `perDevice` old and as many young positions of each device, and a login that may only prune. */
async function openDatabase(devices: number, perDevice: number) {
  const database = await startPostgres();
  onTestFinished(() => database[Symbol.asyncDispose]());
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  onTestFinished(() => sql.end());
  await sql`
    insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    select 'd' || device, now() - make_interval(days => days, secs => n), 1, 1, 1, 1, 1, 1, 1, '8'
    from generate_series(1, ${devices}::int) as device, generate_series(1, ${perDevice}::int) as n,
         unnest(array[29, 31]) as days`;
  const role = database.name.replace('live_tracking_test', 'pruner');
  await sql`create role ${sql(role)} login in role tracking_pruner password ${sql`'of-this-test'`}`;
  // Roles belong to the whole server.
  onTestFinished(async () => void (await sql`drop role ${sql(role)}`));
  const counts = async () => {
    const [row] = await sql<{ old: number; young: number }[]>`
      select count(*) filter (where ts < now() - interval '30 days')::int as old,
             count(*) filter (where ts >= now() - interval '30 days')::int as young from positions`;
    return row;
  };
  return { sql, counts, ownerUrl: database.url, url: asRole(database.url, role, password) };
}

function ignore(): void {
  // The progress of a run.
}

async function run(
  env: NodeJS.ProcessEnv,
  program = main,
  args: readonly string[] = [],
): Promise<readonly [unknown, string]> {
  const { promise, resolve } = Promise.withResolvers<readonly [unknown, string]>();
  execFile(process.execPath, [program, ...args], { env }, (error, stdout, stderr) => {
    resolve([error?.code ?? 0, stdout + stderr]);
  });
  return await promise;
}

async function pruneOnce(url: string, options: Partial<PruneOptions> = {}) {
  const { signal } = new AbortController();
  await using connection = await connectWhenReady(url, { signal, log: ignore, waitMs: 10_000 });
  return await prune(connection.client, {
    keepDays: 30,
    maxMs: 60_000,
    signal,
    log: ignore,
    pauseMs: 0,
    ...options,
  });
}

test('old positions of a plain table are deleted in steps, young ones stay', async () => {
  const { sql, counts, url } = await openDatabase(7, 100);
  // Steps of more rows than a device has, of fewer, and of exactly as many.
  await sql`
    create function refuse_large_step() returns trigger language plpgsql as $$
    begin
      if (select count(*) from deleted) > 33 then raise exception 'too many rows'; end if;
      return null;
    end $$`;
  await sql`create trigger step after delete on positions referencing old table as deleted
    for each statement execute function refuse_large_step()`;
  expect(await pruneOnce(url, { maxRows: 33 })).toEqual({ ...nothing, count: 700 });
  expect(await counts()).toEqual({ old: 0, young: 700 });
  expect(await pruneOnce(url)).toEqual(nothing);
});

test('a run ends when its time is up, and the next one continues', async () => {
  const { counts, url } = await openDatabase(3, 10);
  expect(await pruneOnce(url, { maxRows: 4, maxMs: 0 })).toEqual({ ...nothing, count: 4, isDone: false });
  expect(await counts()).toEqual({ old: 26, young: 30 });
  expect(await pruneOnce(url, { maxRows: 10 })).toEqual({ ...nothing, count: 26 });
});

test('more devices than a step visits are all visited', async () => {
  const { counts, url } = await openDatabase(2500, 1);
  expect(await pruneOnce(url, { maxRows: 5000 })).toEqual({ ...nothing, count: 2500 });
  expect(await counts()).toEqual({ old: 0, young: 2500 });
});

test('rows past the limit are deleted in steps by the time of storing, whatever their fix time', async () => {
  const { sql, counts, url } = await openDatabase(1, 1);
  await sql`
    insert into positions_past_limit (device_id, ts, ingested_at, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
    select 'd', '1970-01-01'::timestamptz + make_interval(secs => 100 * days + n), now() - make_interval(days => days), 1, 1, 1, 1, 1, 1, 1, '8'
    from generate_series(1, 50) as n, unnest(array[29, 31]) as days`;
  await sql`
    create function refuse_large_step() returns trigger language plpgsql as $$
    begin
      if (select count(*) from deleted) > 7 then raise exception 'too many rows'; end if;
      return null;
    end $$`;
  await sql`create trigger step after delete on positions_past_limit referencing old table as deleted
    for each statement execute function refuse_large_step()`;
  expect(await pruneOnce(url, { maxRows: 7 })).toEqual({ ...nothing, count: 1, pastLimitRows: 50 });
  expect(
    await sql`select count(*)::int as young from positions_past_limit where ingested_at > now() - interval '30 days'`,
  ).toEqual([{ young: 50 }]);
  expect(await counts()).toEqual({ old: 0, young: 1 });
  expect(await pruneOnce(url)).toEqual(nothing);
});

test('a temporary table of the job takes the place of no other', async () => {
  const { sql, counts, url } = await openDatabase(1, 3);
  await sql`insert into positions_past_limit select * from positions`;
  const pruner = postgres(url, { max: 1, onnotice: () => undefined });
  onTestFinished(() => pruner.end());
  for (const table of ['positions', 'positions_past_limit']) {
    await pruner.unsafe(`
      create temp table ${table} (device_id text, ts timestamptz, ingested_at timestamptz);
      insert into ${table} values ('x', now() - interval '90 days', now() - interval '90 days');
      grant all on ${table} to public;
      create or replace function pg_temp.delete_all() returns trigger language plpgsql as $$
      begin
        delete from public.positions;
        return old;
      end $$;
      create trigger own before delete on ${table} for each row execute function pg_temp.delete_all()`);
  }
  expect(await pruneOnce(url)).toEqual({ ...nothing, count: 3 });
  expect(await counts()).toEqual({ old: 0, young: 3 });
  // Neither trigger ran: both rows are there.
  for (const table of ['positions', 'positions_past_limit'])
    expect(await pruner`select from pg_temp.${pruner(table)}`).toHaveLength(1);
});

test('the migration job creates the login of the job, which may prune', async () => {
  const { sql, counts, ownerUrl } = await openDatabase(1, 3);
  expect(await run({ POSTGRES_URL: ownerUrl, PRUNER_PASSWORD: password }, migrateMain)).toEqual([
    0,
    expect.stringMatching(/^up to date\n/u),
  ]);
  onTestFinished(async () => void (await sql`drop role pruner`));
  expect(await pruneOnce(asRole(ownerUrl, 'pruner', password))).toEqual({ ...nothing, count: 3 });
  expect(await counts()).toEqual({ old: 0, young: 3 });
});

test("the job's role can neither read nor delete by itself, and an interval of zero is refused", async () => {
  const { url } = await openDatabase(1, 1);
  const pruner = postgres(url, { max: 1 });
  onTestFinished(() => pruner.end());
  for (const table of ['positions', 'positions_past_limit']) {
    for (const statement of [`select from ${table}`, `delete from ${table}`, `truncate ${table}`]) {
      await expect(pruner.unsafe(statement)).rejects.toMatchObject({ code: '42501' });
    }
  }
  await expect(pruner`select delete_old_positions('0', '', 10)`).rejects.toThrow('longer than');
  await expect(pruner`select delete_old_positions_past_limit('0', 10)`).rejects.toThrow('longer than');
});

test('the program deletes, prints how much, and names a missing setting', async () => {
  const { counts, url } = await openDatabase(2, 5);
  expect(await run({ POSTGRES_URL: url, PRUNE_KEEP_DAYS: '30' })).toEqual([
    0,
    '10 rows of positions and 0 rows of positions_past_limit deleted\n',
  ]);
  expect(await counts()).toEqual({ old: 0, young: 10 });
  expect(await run({ POSTGRES_URL: url })).toEqual([
    78,
    expect.stringContaining('PRUNE_KEEP_DAYS is not set'),
  ]);
});

test('--help and a wrong argument delete nothing', async () => {
  const { counts, url } = await openDatabase(1, 5);
  const env = { POSTGRES_URL: url, PRUNE_KEEP_DAYS: '30' };
  expect(await run(env, main, ['--help'])).toEqual([0, expect.stringMatching(/^usage: /u)]);
  expect(await run(env, main, ['--dry-run'])).toEqual([
    2,
    expect.stringMatching(/^prune: Unknown option '--dry-run'/u),
  ]);
  expect(await counts()).toEqual({ old: 5, young: 5 });
});

test('a database without migrations is reported', async () => {
  await using database = await startPostgres({ empty: true });
  expect(await run({ POSTGRES_URL: database.url, PRUNE_KEEP_DAYS: '30' })).toEqual([
    1,
    'prune: the database is not migrated; run ./run migrate first\n',
  ]);
});
