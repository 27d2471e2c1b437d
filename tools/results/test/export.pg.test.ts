import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '@app/migrate/migrate';
import { openEvaluation } from '@app/processor/testing/evaluation';
import { resultsStored } from '@app/processor/testing/results-from-scratch';
import { drive, fixAt, insertSmallRace, startAtMs } from '@app/processor/testing/small-race';
import { asRole } from '@app/test-kit/as-role';
import { startPgBouncer } from '@app/test-kit/pgbouncer';
import { openServerFixture } from '@app/test-kit/server-fixture';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateEvent } from '../src/evaluate/evaluate-event.ts';
import { writeFolder } from '../src/export/write-output.ts';
import { readCsv } from '../src/import/read-csv.ts';
import { runResults } from './support/run-results.ts';

const servers = await openServerFixture();
const { sql } = servers;
const folder = await mkdtemp(join(tmpdir(), 'results-'));
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const crews = ['=HYPERLINK("http://example.org")', 'Mäkelä, "Matti"\nVirtanen & <Co>', '-1+1'];
let race: Awaited<ReturnType<typeof insertSmallRace>>;

beforeAll(async () => {
  await using at = await openEvaluation(servers);
  race = await insertSmallRace(sql);
  for (const [n, id] of race.entryIds.entries()) {
    await sql`update entries set crew = ${crews[n] ?? ''} where id = ${id}`;
  }
  await sql`update entries set number = '../3' where id = ${race.entryIds[2] ?? ''}`;
  const [first = '', second = ''] = race.imeis;
  await at.write(drive(first));
  await at.write([
    ...drive(second),
    // Before the event, a gap of more than 30 s after the drive, the end of the world, and no fix.
    fixAt(second, -10, 0, 0),
    fixAt(second, 300, 0, 0, { longitude: 180, latitude: 1e-7, altitudeM: -0.5, courseDeg: 359.97 }),
    fixAt(second, 301, 0, 0, { satellites: 0 }),
  ]);
  await sql`
    update positions set faulty = true where device_id = ${second} and ts = ${new Date(startAtMs + 70_000)}`;
  await evaluateEvent(at.client, race.eventId, false);
});

let count = 0;
async function exportTo(...args: readonly string[]) {
  const output = join(folder, `output-${(count += 1)}`);
  const given = ['export', '--event', race.eventId, '--output', output, ...args];
  return { output, ...(await runResults(given, { POSTGRES_URL: servers.postgresUrl })) };
}

async function readTable(output: string, name: string): Promise<readonly Record<string, string>[]> {
  const { records, problems } = readCsv(await readFile(join(output, name)));
  expect(problems).toEqual([]);
  return records.map(({ cells }) => Object.fromEntries(cells));
}

describe('csv', () => {
  test('has the rows of the tables with names, times and seconds', async () => {
    const { output, code, stdout } = await exportTo('--format', 'csv');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `wrote ${output}: 3 files\n` });
    const stored = await resultsStored(sql, race.eventId);

    const passings = await readTable(output, 'passings.csv');
    const gates = new Map(race.gateIds.map((id, n) => [id, `Gate ${n}`]));
    const startOf = new Map(stored.stage_results.map((row) => [row['entry_id'], Number(row['start_at'])]));
    const numbers = new Map(race.entryIds.map((id, n) => [id, ['1', '2', '../3'][n]]));
    expect(passings.toSorted(byText)).toEqual(
      stored.passings
        .map((row) => ({
          stage: 'SS 1',
          gate: gates.get(String(row['gate_id'])),
          number: numbers.get(String(row['entry_id'])),
          crew: expect.any(String),
          class: 'car',
          passed_at: new Date(Number(row['passed_at'])).toISOString(),
          since_start_s: String((Number(row['passed_at']) - (startOf.get(row['entry_id']) ?? 0)) / 1000),
          uncertainty_s: String(Number(row['uncertainty_ms']) / 1000),
          verdict: row['verdict'],
          direction: row['direction'],
          lap: String(row['lap']),
          confidence: row['confidence'],
          is_decided: 'false',
        }))
        .toSorted(byText),
    );
    expect(passings).toHaveLength(6);

    const results = await readTable(output, 'stage-results.csv');
    expect(results.map(({ number, status, total_s: total }) => [number, status, total])).toEqual(
      race.entryIds.map((id) => {
        const row = stored.stage_results.find((each) => each['entry_id'] === id);
        const total = row?.['total_ms'];
        return [numbers.get(id), row?.['status'], typeof total === 'number' ? String(total / 1000) : ''];
      }),
    );
    const classification = await readTable(output, 'classification.csv');
    expect(
      classification.map((row) => [row['stage'], row['list_order'], row['number'], row['status']]),
    ).toEqual([
      ['SS 1', '1', '1', 'finished'],
      ['SS 1', '2', '2', 'finished'],
      ['SS 1', '3', '../3', 'dns'],
      ['overall', '1', '1', 'finished'],
      ['overall', '2', '2', 'finished'],
      ['overall', '3', '../3', 'dns'],
    ]);
  });

  test('is quoted, and no text is a formula', async () => {
    const { output } = await exportTo('--format', 'csv');
    const text = await readFile(join(output, 'stage-results.csv'), 'utf8');
    expect(text).toMatch(/^\uFEFFstage,number,crew,class,status,.*\r\n/u);
    expect(text).toContain(`,1,"'=HYPERLINK(""http://example.org"")",car,finished,`);
    expect(text).toContain(`,2,"Mäkelä, ""Matti""\nVirtanen & <Co>",car,finished,`);
    expect(text).toContain(`,../3,'-1+1,car,dns,`);
  });

  test('with --stage has no other stages, nor the overall classification', async () => {
    const { output, code } = await exportTo('--format', 'csv', '--stage', 'SS 1');
    expect(code).toBe(0);
    expect(new Set((await readTable(output, 'classification.csv')).map(({ stage }) => stage))).toEqual(
      new Set(['SS 1']),
    );
  });
});

test('json has every row of every table', async () => {
  const { output, code } = await exportTo('--format', 'json');
  expect(code).toBe(0);
  const document: Readonly<Record<string, unknown>> = JSON.parse(await readFile(output, 'utf8'));
  expect(document).toMatchObject({
    event: {
      id: race.eventId,
      name: 'Rally',
      start_at: '2026-06-01T08:00:00.000Z',
      end_at: '2026-06-01T18:00:00.000Z',
    },
    revision: 1,
    entries: expect.arrayContaining(crews.map((crew) => expect.objectContaining({ crew, class: 'car' }))),
    stages: [{ id: race.stageId, name: 'SS 1' }],
  });
  for (const [name, rows] of Object.entries(await resultsStored(sql, race.eventId))) {
    const exported = document[name];
    expect([name, Array.isArray(exported) ? exported.map(withTimes) : exported]).toEqual([name, rows]);
  }
  const history = await sql`select * from result_changes where event_id = ${race.eventId} order by id`;
  expect(document['result_changes']).toHaveLength(history.length);
  expect(document['race_problems']).toEqual([]);
});

/** Rows as `resultsStored` gives them. */
function withTimes(row: Readonly<Record<string, unknown>>): unknown {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([name]) => name !== 'computed_at')
      .map(([name, value]) => [
        name,
        name.endsWith('_at') && typeof value === 'string' ? Date.parse(value) : value,
      ]),
  );
}

interface PointOfXml {
  readonly track: string;
  readonly segment: number;
  readonly atMs: number;
  readonly latitude: number;
  readonly longitude: number;
}

/** Parsed by Postgres, whose parser is libxml2. */
async function readGpx(file: string): Promise<readonly PointOfXml[]> {
  const text = await readFile(file, 'utf8');
  return await sql<PointOfXml[]>`
    select track, segment, extract(epoch from at)::float8 * 1000 as "atMs", latitude, longitude
      from xmltable(xmlnamespaces('http://www.topografix.com/GPX/1/1' as g),
        '/g:gpx/g:trk/g:trkseg/g:trkpt' passing xmlparse(document ${text})
        columns track text path '../../g:name', segment integer path 'count(../preceding-sibling::g:trkseg)',
          at timestamptz path 'g:time', latitude float8 path '@lat', longitude float8 path '@lon')`;
}

describe('gpx', () => {
  test('has the good fixes of each entry in order, in segments', async () => {
    const { output, stdout } = await exportTo('--format', 'gpx');
    expect(stdout).toBe(`wrote ${output}: 2 files\nwithout a good fix, and without a file: ../3\n`);
    expect(await readdir(output)).toEqual(['entry-1.gpx', 'entry-2.gpx']);
    const points = await readGpx(join(output, 'entry-2.gpx'));
    const stored = await sql<{ atMs: number; latitude: number; longitude: number }[]>`
      select extract(epoch from ts)::float8 * 1000 as "atMs", latitude, longitude from positions
       where device_id = ${race.imeis[1] ?? ''} and quality = 0 and not faulty and ts >= ${new Date(startAtMs)}
       order by ts`;
    expect(stored).toHaveLength(drive('').length);
    expect(points).toEqual(
      stored.map(({ atMs, latitude, longitude }, n) => ({
        track: '2 Mäkelä, "Matti"\nVirtanen & <Co>',
        segment: n === stored.length - 1 ? 1 : 0,
        atMs,
        latitude: Number(latitude.toFixed(7)),
        longitude: longitude === 180 ? -180 : Number(longitude.toFixed(7)),
      })),
    );
  });

  test('has numbers that the schema allows', async () => {
    const { output } = await exportTo('--format', 'gpx');
    const text = await readFile(join(output, 'entry-2.gpx'), 'utf8');
    expect(text).toContain(
      '<trkpt lat="0.0000001" lon="-180.0000000"><ele>-0.5</ele><time>2026-06-01T08:05:00.000Z</time>',
    );
    expect(text).toContain('<gpxtpx:course>0.0</gpxtpx:course>');
  });

  test.each([null, '20266-07-05', 'infinity'])(
    'of an event that ends at %s has all tracks',
    async (endAt) => {
      const [before] = await sql`select end_at from events where id = ${race.eventId}`;
      await sql`update events set end_at = ${endAt}::text::timestamptz where id = ${race.eventId}`;
      const { output, stderr } = await exportTo('--format', 'gpx');
      await sql`update events set end_at = ${before?.['end_at']} where id = ${race.eventId}`;
      expect(stderr).toBe('');
      expect(await readdir(output)).toEqual(['entry-1.gpx', 'entry-2.gpx']);
    },
  );

  test('with --stage has what was driven from its start to its finish', async () => {
    const { output } = await exportTo('--format', 'gpx', '--stage', race.stageId);
    const points = await readGpx(join(output, 'entry-1.gpx'));
    const [result] = await sql`
      select start_at, finish_at from stage_results where entry_id = ${race.entryIds[0] ?? ''}`;
    const [from, until] = [Number(result?.['start_at']), Number(result?.['finish_at'])];
    expect(points.length).toBe(Math.floor(until / 1000) - Math.ceil(from / 1000) + 1);
    expect(points.every(({ atMs }) => atMs >= from && atMs <= until)).toBe(true);
    expect(points[0]?.track).toContain(', SS 1');
  });

  test('of an event without good fixes is refused', async () => {
    const other = await insertSmallRace(sql);
    const args = ['export', '--event', other.eventId, '--format', 'gpx', '--output', join(folder, 'none')];
    expect(await runResults(args, { POSTGRES_URL: servers.postgresUrl })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^no entry of the event has a good fix in its time/u),
    });
  });
});

test('an unknown event or stage, no results and an output that exists or cannot be written are each a sentence', async () => {
  const env = { POSTGRES_URL: servers.postgresUrl };
  const unknown = randomUUID();
  const run = async (...args: readonly string[]) => (await runResults(['export', ...args], env)).stderr;
  const existing = join(folder, 'existing.json');
  await writeFile(existing, 'mine');
  const to = ['--format', 'json', '--output', join(folder, 'refused')];
  expect(await run('--event', unknown, ...to)).toMatch(/^there is no event .*\n$/u);
  expect(await run('--event', race.eventId, ...to, '--stage', 'SS 9')).toBe(
    'the event has no stage "SS 9"; its stages are "SS 1"\n',
  );
  const other = await insertSmallRace(sql);
  expect(await run('--event', other.eventId, ...to)).toBe(
    `the event has no results. Compute them with: ./run results evaluate --event ${other.eventId}\n`,
  );
  expect(await run('--event', race.eventId, '--format', 'json', '--output', existing)).toBe(
    `${existing} exists already; choose another --output, or remove it\n`,
  );
  expect(await readFile(existing, 'utf8')).toBe('mine');
  expect(await run('--event', race.eventId, '--format', 'csv', '--output', join(existing, 'below'))).toMatch(
    /below cannot be written: ENOTDIR/u,
  );
});

test('behind a pooler in transaction mode results are evaluated, and exported as without', async () => {
  const target = servers.postgresUrl;
  await using pooler = await startPgBouncer({ target, poolMode: 'transaction' });
  const env = { POSTGRES_URL: pooler.url };
  const evaluated = await runResults(['evaluate', '--event', race.eventId], env);
  expect({ ...evaluated, stdout: '' }).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(evaluated.stdout).toContain('the tables hold these results already');
  for (const [format, file] of [
    ['csv', 'passings.csv'],
    ['gpx', 'entry-2.gpx'],
  ] as const) {
    const direct = await exportTo('--format', format);
    const output = join(folder, `pooled-${format}`);
    const args = ['export', '--event', race.eventId, '--format', format, '--output', output];
    expect(await runResults(args, env)).toMatchObject({ code: 0, stderr: '' });
    expect(await readFile(join(output, file), 'utf8')).toBe(
      await readFile(join(direct.output, file), 'utf8'),
    );
  }
});

test('a login that may not read everything is refused with a sentence', async () => {
  const password = 'of-this-test';
  await migrate(servers.postgresUrl, {
    logins: [{ name: 'processor', memberOf: 'tracking_processor', password }],
  });
  const args = [
    'export',
    '--event',
    race.eventId,
    '--format',
    'json',
    '--output',
    join(folder, 'rights.json'),
  ];
  expect(
    await runResults(args, { POSTGRES_URL: asRole(servers.postgresUrl, 'processor', password) }),
  ).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'Postgres refuses it: permission denied for table result_changes; use the login of the migrations in POSTGRES_URL\n',
  });
});

test('an export that fails in the middle leaves nothing', async () => {
  const output = join(folder, 'interrupted');
  const before = await readdir(folder);
  await expect(writeFolder(output, breakingFiles())).rejects.toThrow('connection lost');
  expect(await readdir(folder)).toEqual(before);
});

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

async function* breakingFiles() {
  yield { name: 'a.csv', parts: breakingParts() };
}

async function* breakingParts() {
  yield 'some';
  throw new Error('connection lost');
}
