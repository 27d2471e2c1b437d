import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '@app/test-kit/free-port';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { runResults } from './support/run-results.ts';
import { startDirectus, type TestDirectus } from './support/start-directus.ts';

const eventId = randomUUID();
const imeis = Array.from({ length: 400 }, (_, n) => String(356_000_000_000_000 + n));
const deviceIds: readonly string[] = imeis.map(() => randomUUID());
const folder = await mkdtemp(join(tmpdir(), 'start-list-'));
const file = join(folder, 'start.csv');
afterAll(() => rm(folder, { recursive: true }));

let directus: TestDirectus;
beforeEach(async () => {
  directus = await startDirectus();
  const { events, devices } = directus.tables;
  events.push({ id: eventId, name: 'Rally' });
  devices.push(...imeis.map((imei, n) => ({ id: deviceIds[n], imei, status: 'published' })));
});
afterEach(() => directus[Symbol.asyncDispose]());

async function importList(content: string | Uint8Array, ...args: readonly string[]) {
  await writeFile(file, content);
  const given = ['import-start-list', '--event', eventId, '--file', file, ...args];
  return await runResults(given, { DIRECTUS_BASE_URL: directus.url, DIRECTUS_TOKEN: 'token' });
}

function addEntry(values: Readonly<Record<string, unknown>>): string {
  const id = randomUUID();
  directus.tables.entries.push({ id, event_id: eventId, status: 'published', ...values });
  return id;
}

function assign(entryId: string, n: number, more: Readonly<Record<string, unknown>> = {}): string {
  const id = randomUUID();
  const assignment = {
    id,
    entry_id: entryId,
    device_id: deviceIds[n],
    order_number: 1,
    from_at: null,
    until_at: null,
  };
  directus.tables.entry_devices.push({ ...assignment, ...more });
  return id;
}

/** Numbers with the IMEIs assigned to them, in order. */
function assignedNow(): readonly string[] {
  const { entries, entry_devices: assignments } = directus.tables;
  return entries.map(({ id, number }) => {
    const own = assignments
      .filter((each) => each['entry_id'] === id)
      .toSorted((a, b) => Number(a['order_number']) - Number(b['order_number']));
    const names = own.map((each) => imeis[deviceIds.indexOf(String(each['device_id']))]);
    return `${String(number)}: ${names.join(' ')}`;
  });
}

const list = (count: number): string =>
  [
    'number,crew,class,start_order,start_at,devices',
    ...Array.from({ length: count }, (_, n) => {
      const startAt = new Date(Date.UTC(2026, 6, 4, 6, n)).toISOString();
      return `${n + 1},"Crew ${n + 1}, ""Co""",RC2,${n + 1},${startAt},${imeis[n]}`;
    }),
  ].join('\r\n');

test('300 crews are created in two requests, and a second run changes nothing', async () => {
  const { code, stdout, stderr } = await importList(list(300));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toBe('entries: 300 created, 0 updated, 0 unchanged\ndevices: 300 assigned, 0 removed\n');
  expect(directus.writes).toEqual(['POST entries 300', 'POST entry_devices 300']);
  expect(directus.tables.entries[1]).toEqual({
    id: expect.any(String),
    event_id: eventId,
    name: 'Crew 2, "Co"',
    number: '2',
    crew: 'Crew 2, "Co"',
    class: 'RC2',
    start_order: 2,
    start_at: '2026-07-04T06:01:00.000Z',
  });
  expect(assignedNow()[299]).toBe(`300: ${imeis[299]}`);
  expect((await importList(list(300))).stdout).toContain(
    'entries: 0 created, 0 updated, 300 unchanged\ndevices: 0',
  );
  expect(directus.writes).toHaveLength(2);
});

test('entries are updated by number, in the fields that differ; those not in the list are left and named', async () => {
  const changed = addEntry({
    number: '1',
    crew: 'Old',
    class: 'RC2',
    start_order: 1,
    start_at: '2026-07-04T06:00:00Z',
  });
  addEntry({ number: '2', crew: 'Same', class: 'RC2', start_order: 2, start_at: '2026-07-04T06:02:00Z' });
  addEntry({ number: '3', crew: 'Gone' });
  addEntry({ number: '2', crew: 'Archived', status: 'archived' });
  // Semicolons and a byte order mark, as Excel writes them; columns in any order, in capitals; one that is unknown.
  const content =
    '\uFEFFNumber;Start order;Crew;Class;Start_at;Team\r\n1;1;New;RC2;9:00:00;A\r\n2;2;Same;RC2;09:02:00.000;B\r\n\r\n';
  const options = ['--date', '2026-07-04', '--time-zone', 'Europe/Helsinki'];
  const dry = await importList(content, ...options, '--dry-run');
  expect(directus.writes).toEqual([]);
  const { stdout } = await importList(content, ...options);
  expect(dry.stdout).toBe(`${stdout}this was a dry run: nothing was written\n`);
  expect(stdout).toBe(
    'entries: 0 created, 1 updated, 1 unchanged\ndevices: 0 assigned, 0 removed\n' +
      'not in the list, left as they are: 3\ncolumns that were ignored: team\n',
  );
  expect(directus.writes).toEqual(['PATCH entries 1']);
  expect(directus.tables.entries.find(({ id }) => id === changed)).toMatchObject({
    crew: 'New',
    class: 'RC2',
  });
});

test('the devices of a line replace those of the whole event, by IMEI or id; without any they are left', async () => {
  const head = 'number,crew,class,start_order,devices\n';
  const [one, two, three] = ['1', '2', '3'].map((number) =>
    addEntry({ number, crew: '', class: '', start_order: null }),
  );
  assign(one ?? '', 0);
  assign(one ?? '', 9, { from_at: '2026-07-04T10:00:00Z' });
  assign(two ?? '', 1);
  assign(three ?? '', 2);
  const content = `${head}1,,,,${imeis[1]} ${deviceIds[5]?.toUpperCase()}\n2,,,,${imeis[0]}\n3,,,,\n`;
  const { stdout } = await importList(content);
  expect(stdout).toContain('devices: 3 assigned, 2 removed');
  expect(assignedNow().map((line) => line.split(' ').toSorted())).toEqual([
    ['1:', imeis[1], imeis[5], imeis[9]],
    ['2:', imeis[0]],
    [imeis[2], '3:'],
  ]);
  expect((await importList(content)).stdout).toContain('devices: 0 assigned, 0 removed');
});

test('all problems are listed with their lines, and nothing is written', async () => {
  addEntry({ number: '8' });
  addEntry({ number: '8' });
  const notListed = addEntry({ number: '99' });
  assign(notListed, 50);
  directus.tables.devices.push({ id: randomUUID(), imei: '358', status: 'archived' });
  const { code, stderr } = await importList(
    [
      'number,crew,class,start_order,start_at,devices',
      `1,"A\nB",RC2,1,2026-07-04T09:00:00+03:00,${imeis[0]}`,
      `1,C,RC2,0,2026-07-04 09:00,${imeis[0]}`,
      ',D,RC2,1.5,25:00,3.56E+14',
      '4,E,RC2,4,noon,359 358',
      `5,F,RC2,5,2026-13-04T09:00:00Z,${imeis[50]}`,
      '6,G,H,RC2,6,2026-07-04T09:00:00Z,',
      '8,I,RC2,,,',
    ].join('\n'),
  );
  expect(code).toBe(1);
  expect(stderr.trimEnd().split('\n')).toEqual([
    'line 2: the crew has a line break or another control character',
    'line 4: the start_order "0" must be a whole number from 1',
    'line 4: the time 2026-07-04 09:00 has no offset; give --time-zone',
    'line 4: the number 1 is on line 2 already',
    `line 4: the device ${imeis[0]} is on line 2 already`,
    'line 5: the number is missing',
    'line 5: the start_order "1.5" must be a whole number from 1',
    'line 5: the time 25:00 has no offset; give --time-zone',
    'line 5: the device 3.56E+14 is an IMEI that a spreadsheet has rounded; format the column as text and fill it in again',
    'line 6: the time "noon" must be like 2026-07-04T09:05:00+03:00 or 09:05:00',
    'line 6: Directus has no device with the IMEI or id "359"',
    'line 6: the device 358 is archived',
    'line 7: the time 2026-13-04T09:00:00Z does not exist',
    `line 7: the device ${imeis[50]} is assigned to the entry 99; remove it there`,
    'line 8: has 7 cells for 6 columns; put cells with a "," in quotation marks',
    expect.stringMatching(/^line 8: the start_order/u),
    expect.stringMatching(/^line 8: the time/u),
    expect.stringMatching(/^line 8: Directus has no device/u),
    'line 9: Directus has 2 entries with the number 8; archive all but one',
    'nothing was written; correct the file and run it again',
  ]);
  expect(directus.writes).toEqual([]);
});

test.for([
  [
    'UTF-16',
    Buffer.from('\uFEFFnumber', 'utf16le'),
    'the file is UTF-16 ("Unicode Text"); save it as "CSV UTF-8"',
  ],
  [
    'Latin-1',
    Buffer.from('number\nM\u00E4kel\u00E4', 'latin1'),
    'the file is not UTF-8; save it as "CSV UTF-8"',
  ],
  ['empty', '\uFEFF\r\n', 'the file is empty; its first line must name the columns'],
  [
    'without entries',
    'number,crew,class,start_order\n',
    'the file has no entry, only the names of the columns',
  ],
  [
    'without a column',
    'number,crew\n1,A\n',
    'the first line lacks the column class and start_order; it has number, crew. Columns are number, crew, class, start_order and, if wanted, start_at and devices',
  ],
  ['with a column twice', 'number,crew,Crew\n', 'line 1: the column crew is there twice'],
  [
    'with an open quotation mark',
    'number,crew\n1,"A\n',
    'line 2: a quotation mark is not closed, or stands within a cell; write "" for one, and the cell in quotation marks',
  ],
] as const)('a file that is %s is refused with a sentence', async ([, content, message]) => {
  expect(await importList(content)).toEqual({ code: 1, stdout: '', stderr: `${message}\n` });
});

test.for(['DELETE entry_devices', 'POST entries', 'PATCH entries', 'POST entry_devices'])(
  'an import whose %s breaks off is completed by the next run',
  async (failing) => {
    const existing = addEntry({ number: '1', crew: 'Old' });
    assign(existing, 7);
    directus.failing = failing;
    const { code, stderr } = await importList(list(3));
    expect({ code, stderr }).toEqual({
      code: 69,
      stderr: expect.stringMatching(
        /does not answer .*; an import that was interrupted is completed by the next run/u,
      ),
    });
    directus.failing = undefined;
    expect((await importList(list(3))).code).toBe(0);
    expect(directus.tables.entries.map(({ crew }) => crew)).toEqual([1, 2, 3].map((n) => `Crew ${n}, "Co"`));
    expect(assignedNow()).toEqual([1, 2, 3].map((n) => `${n}: ${imeis[n - 1]}`));
  },
);

test('an unknown event, a missing file, a wrong token and a Directus that does not answer are each a sentence', async () => {
  directus.tables.events.pop();
  expect(await importList(list(1))).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^there is no event .*, or the owner of DIRECTUS_TOKEN may not read it\n$/u,
    ),
  });
  const args = ['import-start-list', '--event', eventId, '--file', join(folder, 'none.csv')];
  const env = { DIRECTUS_BASE_URL: `http://127.0.0.1:${await findFreePort()}`, DIRECTUS_TOKEN: 'token' };
  expect(await runResults(args, env)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^--file cannot be read: ENOENT/u),
  });
  const wrong = { DIRECTUS_BASE_URL: directus.url, DIRECTUS_TOKEN: 'wrong' };
  expect(await runResults([...args.slice(0, -1), file], wrong)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/HTTP 401 Invalid user credentials\.; check DIRECTUS_TOKEN\n$/u),
  });
  expect(await runResults([...args.slice(0, -1), file], env)).toMatchObject({
    code: 69,
    stderr: expect.stringMatching(/does not answer \(connect ECONNREFUSED .*; check DIRECTUS_BASE_URL/u),
  });
});
