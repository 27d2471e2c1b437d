import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Credentials } from '../src/ask-directus.ts';
import { openSetUp, type SetUp } from './support/open-set-up.ts';

// Each runs the program.
const slow = { timeout: 120_000 };

let setUp: SetUp;
let folder: string;
beforeAll(async () => {
  setUp = await openSetUp();
  folder = await mkdtemp(join(tmpdir(), 'doctor-'));
  // The columns of Directus 11 and 12 that are read; with a real Directus: testing/directus.
  await setUp.sql.unsafe(`
    alter table directus_users add column role uuid;
    create table directus_roles (id uuid primary key, parent uuid);
    create table directus_policies (id uuid primary key, name text, admin_access boolean not null default false);
    create table directus_access (id uuid primary key default gen_random_uuid(), role uuid, "user" uuid, policy uuid);
    create table directus_permissions (id serial, policy uuid, collection text, action text, permissions json, fields text)`);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await setUp[Symbol.asyncDispose]();
});

interface Request {
  readonly session?: string;
  readonly email?: string;
  readonly eventId?: string;
  readonly origin?: string;
}

async function explain(request: Request) {
  const { session, email, eventId = setUp.eventId, origin } = request;
  const credentials: Credentials =
    session === undefined ? {} : { cookie: `directus_session_token=${session}` };
  return setUp.explain({ eventId, origin, visitor: { credentials, email } });
}

/** The failed findings about a request to watch the event. */
async function failuresOf(request: Request): Promise<readonly string[]> {
  return (await explain(request)).failures;
}

/** Gives a user a policy of their role's parent. */
async function allow(
  userId: string,
  permission?: { readonly fields: string; readonly rule?: object },
): Promise<void> {
  const [parent, role, policy] = [randomUUID(), randomUUID(), randomUUID()];
  await setUp.sql`insert into directus_roles (id, parent) values (${parent}, null), (${role}, ${parent})`;
  await setUp.sql`update directus_users set role = ${role} where id = ${userId}`;
  await setUp.sql`insert into directus_policies (id, name) values (${policy}, 'Viewer')`;
  await setUp.sql`insert into directus_access (role, policy) values (${parent}, ${policy})`;
  if (permission === undefined) return;
  await setUp.sql`
    insert into directus_permissions (policy, collection, action, permissions, fields)
    values (${policy}, 'events', 'read', ${JSON.stringify(permission.rule ?? {})}::text::json, ${permission.fields})`;
}

test('a visitor who may watch is told so', async () => {
  const { userId, session, email } = await setUp.addUser();
  await allow(userId, { fields: 'name,id' });
  setUp.directus.allow(userId, setUp.eventId);
  expect(await failuresOf({ session, origin: 'https://live.example.org' })).toEqual([]);
  expect(await failuresOf({ email: email.toUpperCase() })).toEqual([]);
});

test('an event that does not exist, and an id that is none', async () => {
  const { session } = await setUp.addUser();
  expect(await failuresOf({ session, eventId: randomUUID() })).toEqual([
    expect.stringContaining('event: does not exist'),
  ]);
  expect(await failuresOf({ session, eventId: setUp.eventId.toUpperCase() })).toEqual([
    expect.stringContaining('is not a UUID in lower case'),
  ]);
});

test('no policy reads events', async () => {
  const { userId, session } = await setUp.addUser();
  await allow(userId);
  expect(await failuresOf({ session })).toEqual([
    expect.stringContaining(
      'permission: Directus does not let the visitor read the event (HTTP 403 FORBIDDEN)',
    ),
    expect.stringContaining('policies: none reads events: Viewer'),
  ]);
});

test('the field id is not readable', async () => {
  const { userId, email } = await setUp.addUser();
  await allow(userId, { fields: 'name' });
  expect(await failuresOf({ email })).toEqual([
    expect.stringContaining('policies: the field id of events is not readable by Viewer'),
  ]);
});

test('a row rule that the event does not match is quoted', async () => {
  const { userId, session, email } = await setUp.addUser();
  await allow(userId, { fields: '*', rule: { name: { _eq: 'Another' } } });
  expect(await failuresOf({ session })).toEqual([
    expect.stringContaining('permission: Directus does not let the visitor'),
  ]);
  expect((await explain({ email })).findings).toContainEqual(
    expect.objectContaining({
      level: 'note',
      found: 'the event must match a row rule. Viewer: {"name":{"_eq":"Another"}}',
    }),
  );
});

test('an address that no user has', async () => {
  expect(await failuresOf({ email: `${randomUUID()}@example.org` })).toEqual([
    expect.stringContaining('user: no user has the address'),
  ]);
});

test('a suspended user', async () => {
  const { userId, session } = await setUp.addUser('suspended');
  await allow(userId, { fields: '*' });
  setUp.directus.allow(userId, setUp.eventId);
  expect(await failuresOf({ session })).toEqual([expect.stringContaining('status: suspended')]);
});

test('a session that ended, is unknown, of another Directus, or of a shared link', async () => {
  const { session, userId } = await setUp.addUser();
  await allow(userId, { fields: '*' });
  setUp.directus.expireSession(session);
  setUp.directus.addForeignSession('foreign');
  setUp.directus.addShareToken('share');
  expect(await failuresOf({ session })).toContainEqual(
    expect.stringContaining('session: the session has ended'),
  );
  expect(await failuresOf({ session: 'unknown' })).toContainEqual(
    expect.stringContaining('session: unknown'),
  );
  expect(await failuresOf({ session: 'foreign' })).toContainEqual(
    expect.stringContaining('session: signed with another SECRET'),
  );
  expect(await failuresOf({ session: 'share' })).toContainEqual(
    expect.stringContaining('session: it has no user'),
  );
});

test('an origin that is not allowed', async () => {
  const { userId, session } = await setUp.addUser();
  await allow(userId, { fields: '*' });
  setUp.directus.allow(userId, setUp.eventId);
  expect(await failuresOf({ session, origin: 'https://live.example.org:8443' })).toEqual([
    expect.stringMatching(
      /^origin: https:\/\/live.example.org:8443 is not allowed: https:\/\/live.example.org →/u,
    ),
  ]);
});

async function judged(
  credentials: Credentials,
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const visitor = { credentials, email: undefined };
  const { findings } = await setUp.explain({ eventId: setUp.eventId, origin: undefined, visitor }, env);
  return findings.find(({ check }) => check === 'visitor' || check === 'bearer tokens')?.level;
}

test('a visitor without a login, and a token, are judged by the settings of the gateway', async () => {
  expect(await judged({}, {})).toBe('note');
  expect(await judged({}, { LIVE_ANONYMOUS_PER_ADDRESS: '0' })).toBe('failed');
  expect(await judged({}, { LIVE_ANONYMOUS_PER_ADDRESS: '9' })).toBe('ok');
  const token = { authorization: 'Bearer token' };
  expect(await judged(token, {})).toBe('note');
  expect(await judged(token, { LIVE_BEARER_TOKENS: 'off' })).toBe('failed');
  expect(await judged(token, { LIVE_BEARER_TOKENS: 'on' })).toBe('ok');
});

test('what Directus allows is no failure, whatever its policies look like', async () => {
  const { userId, session } = await setUp.addUser();
  setUp.directus.allow(userId, setUp.eventId);
  const { failures, findings } = await explain({ session });
  expect(failures).toEqual([]);
  expect(findings).toContainEqual({ level: 'note', check: 'policies', found: 'the user has none' });
});

test('the command reads the session from a file, and never prints it', slow, async () => {
  const { userId, session } = await setUp.addUser();
  await allow(userId, { fields: '*' });
  const file = join(folder, 'session');
  await writeFile(file, `${session}\n`);
  const { code, stdout, stderr } = await setUp.run(['--event', setUp.eventId, '--session', file]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/FAILED +permission .*\n +→ Change the policies/u);
  expect(stdout + stderr).not.toContain(session);
});

test('a wrong command line and missing settings are reported at once', slow, async () => {
  const both = await setUp.run(['--email', 'a@example.org', '--session', '-']);
  expect(both.code).toBe(2);
  expect(both.stderr).toContain('exclude each other');
  expect(both.stderr).toContain('need --event');
  const missing = await setUp.run(['--event', setUp.eventId, '--session', join(folder, 'missing')]);
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain('--session: ENOENT');
  const unset = await setUp.run([], { REDIS_URL: '' });
  expect(unset.code).toBe(78);
  expect(unset.stderr).toContain('REDIS_URL is not set');
});
