import { runProgram } from '@app/test-kit/program';
import { beforeEach, afterEach, expect, test } from 'vitest';
import { setUpDirectus } from '../src/set-up-directus.ts';
import { startDirectus, type TestDirectus } from './support/start-directus.ts';

// Of deploy/directus/access.json.
const raceControl = '6c1f0c1e-9d4e-4c0a-8f0b-0d6a5b1f7a02';
const publicPolicy = '6c1f0c1e-9d4e-4c0a-8f0b-0d6a5b1f7a03';
const raceControlRole = '6c1f0c1e-9d4e-4c0a-8f0b-0d6a5b1f7b02';

let directus: TestDirectus;
beforeEach(async () => {
  directus = await startDirectus();
});
afterEach(() => directus[Symbol.asyncDispose]());

/** Runs the set-up in this process; returns what it prints. */
async function setUp(options: { readonly isPublic?: boolean } = {}): Promise<readonly string[]> {
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const given = { baseUrl: directus.url, token: 'token', isPublic: false, isRestoring: false, print };
  expect(await setUpDirectus({ ...given, ...options })).toBe(0);
  return lines;
}

async function runSetUp(...args: readonly string[]): Promise<string> {
  const main = new URL('../src/main.ts', import.meta.url);
  const env = { DIRECTUS_BASE_URL: directus.url, DIRECTUS_TOKEN: 'token' };
  const { code, stdout, stderr } = await runProgram({ main, args, env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

/** The rows of each table as a set. */
function contents(): unknown {
  const { tables } = directus;
  return Object.entries(tables).map(([name, rows]) => [
    name,
    rows.map((row) => JSON.stringify(row)).toSorted(),
  ]);
}

test.for(['access', 'permissions'] as const)(
  'a run that was interrupted before the first row of %s is completed by the next',
  async (table) => {
    await setUp();
    const expected = contents();
    await directus[Symbol.asyncDispose]();
    directus = await startDirectus();
    directus.failingTable = table;
    await expect(setUp()).rejects.toThrow('does not answer');
    directus.failingTable = undefined;
    await setUp();
    expect(contents()).toEqual(expected);
    expect(await setUp()).toEqual([]);
  },
);

test('--public attaches the policy to the public although a role and a user have it', async () => {
  await setUp();
  const ofPublic = { role: null, user: null, policy: publicPolicy };
  directus.tables.access.push({ role: raceControlRole, user: null, policy: publicPolicy });
  directus.tables.access.push({ role: null, user: raceControlRole, policy: publicPolicy });
  expect(await runSetUp('--public')).toBe('letting everybody watch published events\n');
  expect(directus.tables.access).toContainEqual(ofPublic);
  const { length } = directus.tables.access;
  expect(await setUp({ isPublic: true })).toEqual([]);
  expect(directus.tables.access).toHaveLength(length);
});

test('what was removed from a policy or a role in use is printed, and added with --restore-access only', async () => {
  await setUp();
  const expected = contents();
  const { tables } = directus;
  tables.permissions = tables.permissions.filter(
    ({ policy, collection, action }) =>
      policy !== raceControl || collection !== 'events' || action !== 'update',
  );
  tables.access = tables.access.map((each) =>
    each['role'] === raceControlRole ? { ...each, policy: publicPolicy } : each,
  );
  const changed = contents();
  const missing = [
    'missing: Live: race control may not update events; unless this is on purpose, add it with --restore-access',
    `missing: Race control has no policy ${raceControl}; unless this is on purpose, add it with --restore-access`,
  ];
  expect(await setUp()).toEqual(missing);
  expect(contents()).toEqual(changed);
  expect(await runSetUp('--restore-access')).toBe(
    `adding Live: race control may update events\nadding policy ${raceControl} to role Race control\n`,
  );
  tables.access = tables.access.filter((each) => each['policy'] !== publicPolicy);
  expect(contents()).toEqual(expected);
});

test('tables of the migrations that are not there are named, with what to do', async () => {
  await setUp();
  directus.shown = directus.shown.filter((table) => !['incidents', 'passings'].includes(table));
  expect(await setUp()).toEqual([
    'not there yet: passings, incidents. Run the migrations (./run migrate), then this again',
  ]);
});
