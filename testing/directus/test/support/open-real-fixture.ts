import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { connectDirectus, field, type DirectusApi } from '@app/directus-setup/directus-api';
import { setUpDirectus } from '@app/directus-setup/set-up-directus';
import { type Fixture, openFixture } from '@app/live-gateway/testing/open-fixture';
import type { RunningGateway } from '@app/live-gateway/testing/start-gateway';
import { migrate } from '@app/migrate/migrate';
import { asRole } from '@app/test-kit/as-role';
import { startPostgres } from '@app/test-kit/postgres';
import postgres from 'postgres';
import { type RealDirectus, startRealDirectus } from '../../src/start-real-directus.ts';
import type { DirectusVersion } from '../../src/versions.ts';

// Of deploy/directus/access.json.
const viewerRole = '6c1f0c1e-9d4e-4c0a-8f0b-0d6a5b1f7b01';
export const raceControlRole = '6c1f0c1e-9d4e-4c0a-8f0b-0d6a5b1f7b02';
const publicPolicy = '6c1f0c1e-9d4e-4c0a-8f0b-0d6a5b1f7a03';
const password = 'of-this-test';

export interface RealUser {
  readonly userId: string;
  readonly email: string;
}

/** A real Directus that was set up as deploy/directus/README.md says, and a gateway with the shipped rights. */
export interface RealFixture extends AsyncDisposable {
  readonly directus: RealDirectus;
  /** As administrator. */
  readonly api: DirectusApi;
  /** Its own Directus is a stand-in, which no gateway here uses. */
  readonly fixture: Fixture;
  readonly gateway: RunningGateway;
  /** What the set-up printed at first. */
  readonly added: readonly string[];
  /** What it printed after the migrations. */
  readonly addedLater: readonly string[];
  setUp(): Promise<readonly string[]>;
  startGateway(env: Readonly<Record<string, string>>): Promise<RunningGateway>;
  /** A viewer, unless another role is given. */
  addUser(role?: string): Promise<RealUser>;
  /** Logs in; returns the session cookie's value. */
  logIn(user: RealUser): Promise<string>;
  /** Sessions as Directus makes them, without the cost of hashing a password for each. */
  addSessions(user: RealUser, count: number): Promise<readonly string[]>;
  /** By the row rule for viewers; without a licence, which 12 needs for that, by a policy that reads all events. */
  allow(user: RealUser, eventId: string): Promise<void>;
  forbid(user: RealUser, eventId: string): Promise<void>;
  /** Lets everybody read published events, or all of them without row rules, until the result is called. */
  allowPublic(): Promise<() => Promise<void>>;
}

export async function openRealFixture(version: DirectusVersion): Promise<RealFixture> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await startPostgres({ empty: true }));
  const owner = stack.use(connectPostgres(database.url));
  // Not the owner of the migrations' tables.
  const login = `directus_${randomBytes(4).toString('hex')}`;
  await owner.unsafe(
    `create role ${login} login password '${password}'; grant create on schema public to ${login}`,
  );
  const directus = stack.use(await startRealDirectus(version, asRole(database.url, login, password)));
  const api = connectDirectus(directus.url, directus.adminToken);
  // Of somebody who has used Directus before.
  await api('POST', '/collections', { collection: 'sponsors', schema: {}, meta: {} });
  const setUp = async (isPublic = false): Promise<readonly string[]> => {
    const lines: string[] = [];
    const print = (line: string): void => void lines.push(line);
    await setUpDirectus({
      baseUrl: directus.url,
      token: directus.adminToken,
      isPublic,
      isRestoring: false,
      print,
    });
    return lines;
  };
  const added = await setUp();
  await migrate(database.url, {
    logins: [{ name: 'live_gateway', memberOf: 'tracking_gateway', password }],
  });
  await owner.unsafe(`grant tracking_directus to ${login}`);
  // As in a set-up from before there were results.
  await owner`delete from directus_permissions where collection = 'incidents'`;
  const addedLater = await setUp();
  const fixture = stack.use(await openFixture({ postgresUrl: database.url }));
  const { sql } = fixture;
  const startGateway = async (env: Readonly<Record<string, string>>): Promise<RunningGateway> => {
    const gateway = await fixture.start({
      instanceId: randomUUID(),
      directusUrl: directus.url,
      postgresUrl: asRole(database.url, 'live_gateway', password),
      env: { LIVE_TRUSTED_PROXIES: '127.0.0.1', LIVE_MAX_CONNECTIONS_PER_USER: '1000', ...env },
    });
    await gateway.ready();
    return gateway;
  };
  const gateway = await startGateway({
    AUTH_CACHE_TTL_MS: '500',
    AUTHZ_CACHE_TTL_MS: '500',
    REAUTHORIZE_INTERVAL_MS: '1000',
    LIVE_ANONYMOUS_PER_ADDRESS: '100',
    LIVE_BEARER_TOKENS: 'on',
    LIVE_TICKET_KEY: 'a key that all replicas of this test share',
  });
  // Without access to the app: the core licence of 12 limits the number of those who have it.
  const readsEvents = String(field(await api('POST', '/policies', { name: 'Reads events' }), 'id'));
  await api('POST', '/permissions', {
    policy: readsEvents,
    collection: 'events',
    action: 'read',
    fields: ['*'],
  });
  const hasRowRules = added.every((line) => !line.startsWith('refused'));
  const resources = stack.move();
  return {
    directus,
    api,
    fixture,
    gateway,
    added,
    addedLater,
    setUp,
    startGateway,
    addUser: async (role = viewerRole) => {
      const email = `${randomUUID()}@example.org`;
      const user = await api('POST', '/users', { email, password, role });
      return { userId: String(field(user, 'id')), email };
    },
    logIn: async ({ email }) => {
      const response = await fetch(`${directus.url}/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email, password, mode: 'session' }),
      });
      return readSession(response);
    },
    addSessions: async ({ userId }, count) => {
      const tokens = Array.from({ length: count }, () => randomBytes(48).toString('base64url'));
      const rows = tokens.map((token) => ({
        token,
        user: userId,
        expires: new Date(Date.now() + 3_600_000),
      }));
      await sql`insert into directus_sessions ${sql(rows, 'token', 'user', 'expires')}`;
      return tokens.map((token) =>
        signSession(directus.secret, { id: userId, role: viewerRole, session: token }),
      );
    },
    allow: async ({ userId }, eventId) => {
      if (hasRowRules) await api('POST', '/items/event_viewers', { event_id: eventId, user_id: userId });
      else await api('POST', '/access', { user: userId, policy: readsEvents });
    },
    forbid: async ({ userId }, eventId) => {
      const [path, filter] = hasRowRules
        ? ['/items/event_viewers', `filter[user_id][_eq]=${userId}&filter[event_id][_eq]=${eventId}`]
        : ['/access', `filter[user][_eq]=${userId}`];
      const found = await api('GET', `${path}?${filter}`);
      for (const row of Array.isArray(found) ? found : [])
        await api('DELETE', `${path}/${String(field(row, 'id'))}`);
    },
    allowPublic: async () => {
      const policy = hasRowRules ? publicPolicy : readsEvents;
      if (hasRowRules) await setUp(true);
      else await api('POST', '/access', { role: null, user: null, policy });
      return async () => {
        const found = await api('GET', `/access?filter[policy][_eq]=${policy}&filter[user][_null]=true`);
        for (const row of Array.isArray(found) ? found : [])
          await api('DELETE', `/access/${String(field(row, 'id'))}`);
      };
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

export function readSession(response: Response): string {
  const [, session] = /^directus_session_token=([^;]+)/u.exec(response.headers.getSetCookie()[0] ?? '') ?? [];
  if (session === undefined) throw new Error(`no session: HTTP ${response.status}`);
  return session;
}

function connectPostgres(url: string): postgres.Sql & AsyncDisposable {
  const sql = postgres(url, { max: 1, onnotice: () => undefined });
  return Object.assign(sql, { [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) });
}

/** A JWT of HS256. */
export function signSession(secret: string, payload: object, expiresInS = 3600): string {
  const nowS = Math.floor(Date.now() / 1000);
  const claims = {
    app_access: false,
    admin_access: false,
    ...payload,
    iat: nowS,
    exp: nowS + expiresInS,
    iss: 'directus',
  };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
