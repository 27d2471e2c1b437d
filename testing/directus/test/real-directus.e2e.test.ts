import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectDirectus, field, type DirectusApi } from '@app/directus-setup/directus-api';
import { deviceAt, fixOf, type TestDevice } from '@app/live-gateway/testing/open-fixture';
import { type RunningGateway, testOrigin } from '@app/live-gateway/testing/start-gateway';
import {
  connect,
  connectBatched,
  type Handshake,
  tryConnect,
  type Viewer,
} from '@app/live-gateway/testing/viewer';
import { importStartList } from '@app/results/import-start-list';
import { eventually } from '@app/test-kit/eventually';
import { runProgram } from '@app/test-kit/program';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { directusVersions, isInstalled } from '../src/versions.ts';
import {
  openRealFixture,
  raceControlRole,
  type RealFixture,
  type RealUser,
  readSession,
  signSession,
} from './support/open-real-fixture.ts';

// Directus takes half a minute to start, and more on a busy machine.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 600_000 });
const patience = { timeout: 60_000 };

describe.each(directusVersions)('Directus %s', (version) => {
  const hasRowRules = version.startsWith('11.');
  const unlessForbidden = (rows: unknown) => (hasRowRules ? rows : expect.stringMatching(/HTTP 403/u));
  const unlessRefused = (data: unknown) => (hasRowRules ? JSON.stringify(data) : 'FORBIDDEN');

  describe.skipIf(!isInstalled(version))('that is installed', () => {
    let real: RealFixture;
    let eventId: string;
    let devices: readonly TestDevice[];
    beforeAll(async () => {
      real = await openRealFixture(version);
      ({ eventId, devices } = await real.fixture.addEvent(1));
    });
    afterAll(() => real[Symbol.asyncDispose]());

    async function addViewer(): Promise<{ userId: string; email: string; session: string }> {
      const user = await real.addUser();
      await real.allow(user, eventId);
      return { ...user, session: await real.logIn(user) };
    }

    async function addRequester(user: RealUser): Promise<DirectusApi> {
      const token = randomUUID();
      await real.api('PATCH', `/users/${user.userId}`, { token });
      return connectDirectus(real.directus.url, token);
    }

    async function watch(session: string, gateway: RunningGateway = real.gateway): Promise<Viewer> {
      const viewer = await connect(gateway.wsUrl, { session });
      viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
      await viewer.next('subscribed', undefined, 20_000);
      return viewer;
    }

    async function expectUpdates(viewer: Viewer): Promise<void> {
      const speedKmh = Math.ceil(Math.random() * 1000) / 10;
      await real.fixture.publish(fixOf(deviceAt(devices), { speedKmh }));
      await viewer.next('position', ({ speed }) => speed === speedKmh, 20_000);
    }

    /** As a page does: Directus ends the session within ten seconds. */
    async function refresh(session: string): Promise<string> {
      const response = await fetch(`${real.directus.url}/auth/refresh`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', cookie: `directus_session_token=${session}` },
        body: JSON.stringify({ mode: 'session' }),
      });
      return readSession(response);
    }

    /** `subscribed`, the code of the error, or that of the close. */
    async function outcomeOf(session: string | Handshake, topic: string): Promise<string> {
      using viewer = await connect(real.gateway.wsUrl, typeof session === 'string' ? { session } : session);
      let closeCode: number | undefined;
      viewer.socket.once('close', (code) => (closeCode = code));
      viewer.send({ type: 'subscribe', topic });
      return await eventually(
        () => {
          const answer = viewer.messages.find(({ type }) => type === 'subscribed' || type === 'error');
          if (answer === undefined) return closeCode === undefined ? undefined : `closed with ${closeCode}`;
          return answer.type === 'error' ? answer.code : answer.type;
        },
        { timeoutMs: 60_000 },
      );
    }

    test('the set-up adds what is missing, keeps what exists, and adds nothing the second time', async () => {
      expect(real.added).toContain('adding events.viewers');
      expect(real.added).toContain('adding role Viewer');
      const refused = real.added.filter((line) => line.startsWith('refused'));
      // 12 has no licence here.
      expect(refused).toHaveLength(hasRowRules ? 0 : 16);
      expect(real.added).toContainEqual(
        expect.stringMatching(/^not there yet: classification, .*\. Run the migrations/u),
      );
      expect(real.addedLater.filter((line) => !line.startsWith('adding table')).toSorted()).toEqual(
        ['adding Live: race control may read incidents', ...refused].toSorted(),
      );
      expect(await real.setUp()).toEqual(refused);
      await real.api('GET', '/collections/sponsors');
    });

    test('a user watches the event that is allowed, and no other', async () => {
      const other = await real.fixture.addEvent(1);
      const user = await addViewer();
      const { session } = user;
      using viewer = await watch(session);
      await expectUpdates(viewer);
      const stranger = await real.addUser();
      expect(await outcomeOf(await real.logIn(stranger), `event:${eventId}`)).toBe('forbidden');
      expect(await outcomeOf(session, `event:${randomUUID()}`)).toBe('forbidden');
      // Without row rules, which 12 has with a licence only, the policy is for all events.
      const unlessAllowed = hasRowRules ? 'forbidden' : 'subscribed';
      expect(await outcomeOf(session, `event:${other.eventId}`)).toBe(unlessAllowed);
      await real.fixture.sql`update events set status = 'archived' where id = ${eventId}`;
      onTestFinished(
        async () =>
          void (await real.fixture.sql`update events set status = 'published' where id = ${eventId}`),
      );
      expect(await outcomeOf(await real.logIn(user), `event:${eventId}`)).toBe(unlessAllowed);
    });

    test('a viewer reads the published course, without hidden waypoints and decisions, which name their author', async () => {
      const { session } = await addViewer();
      const add = (collection: string, item: object) => real.api('POST', `/items/${collection}`, item);
      const line = {
        type: 'LineString',
        coordinates: [
          [25.1, 62.2],
          [25.2, 62.3],
        ],
      };
      const stage = await add('stages', { event_id: eventId, name: 'SS 1', order_number: 1, line });
      const place = { stage_id: field(stage, 'id'), latitude: 62.12345678, longitude: 25.1, radius_m: 30 };
      await add('waypoints', { ...place, name: 'WP 1', order_number: 1 });
      await add('waypoints', { ...place, name: 'WP 2', order_number: 2, kind: 'hidden' });
      await add('stages', { event_id: eventId, name: 'SS 2', order_number: 2, status: 'draft' });
      const [entry] = await real.fixture.sql`select id from entries where event_id = ${eventId}`;
      const decided = { entry_id: entry?.['id'], kind: 'penalty', stage_id: place.stage_id, penalty_s: 10.5 };
      expect(await add('decisions', { ...decided, decided_by: null })).toMatchObject({
        decided_by: expect.any(String),
        decided_at: expect.any(String),
      });
      const read = async (path: string) => {
        const headers = { cookie: `directus_session_token=${session}` };
        return describeBody(await (await fetch(`${real.directus.url}/items/${path}`, { headers })).text());
      };
      expect(await read('stages?fields=name,line')).toBe(unlessRefused([{ name: 'SS 1', line }]));
      expect(await read('waypoints?fields=name,latitude')).toBe(
        unlessRefused([{ name: 'WP 1', latitude: '62.12345678' }]),
      );
      // Filters must not find out where hidden waypoints are.
      expect(await read('stages?fields=name&filter[waypoints][latitude][_gt]=1')).toBe('FORBIDDEN');
      expect(await read('zones?fields=name&filter[from_waypoint_id][latitude][_gt]=1')).toBe('FORBIDDEN');
      expect(await read('waypoints?fields=kind')).toBe('FORBIDDEN');
      expect(await read('decisions?fields=id')).toBe('FORBIDDEN');
    });

    test('race control reads results with names and notes, marks fixes as faulty, and is told what is wrong with a mark', async () => {
      const { sql } = real.fixture;
      const [place] = await sql<{ entry: string; device: string; imei: string }[]>`
        select entry_id as entry, devices.id as device, imei from entry_devices
          join entries on entries.id = entry_id join devices on devices.id = device_id
         where event_id = ${eventId}`;
      if (!place) throw new Error('the event has no entry');
      const key = `${eventId}/${place.entry}/sos/1`;
      await sql`
        insert into incidents (key, event_id, entry_id, rule, rule_version, confidence, is_decided, lap, from_at, until_at,
                               is_open, latitude, longitude, is_position_good)
        values (${key}, ${eventId}, ${place.entry}, 'sos', 1, 'high', false, 1, '2026-01-01T10:00:00.123Z',
                '2026-01-01 10:01Z', true, 1, 1, true)`;
      const control = await addRequester(await real.addUser(raceControlRole));
      expect(await control('GET', '/items/incidents?fields=key,entry_id.id,event_id.id,from_at')).toEqual([
        {
          key,
          entry_id: { id: place.entry },
          event_id: { id: eventId },
          from_at: '2026-01-01T10:00:00.123Z',
        },
      ]);
      expect(await control('GET', `/items/incidents/${encodeURIComponent(key)}?fields=rule`)).toEqual({
        rule: 'sos',
      });
      const file = new URL('../../../deploy/directus/tables.json', import.meta.url);
      const { tables }: { tables: { table: string }[] } = JSON.parse(await readFile(file, 'utf8'));
      for (const { table } of tables) await control('GET', `/items/${table}?limit=1`);
      const fields = await real.api('GET', '/fields/incidents/confidence');
      expect(fields).toMatchObject({
        meta: { note: expect.stringMatching(/^high, or low/u), readonly: true },
      });
      await sql`
        insert into positions (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec)
        values (${place.imei}, '2026-01-01 10:00Z', 1, 1, 1, 1, 1, 1, 1, '8')`;
      const faulty = async () =>
        (
          await sql`select faulty from positions where device_id = ${place.imei} and ts = '2026-01-01 10:00Z'`
        )[0]?.['faulty'];
      const range = {
        device_id: place.device,
        from_at: '2026-01-01T09:59:00Z',
        until_at: '2026-01-01T10:01:00Z',
      };
      const mark = await control('POST', '/items/faulty_marks', { ...range, reason: 'jumps' });
      expect(mark).toMatchObject({
        fixes: 1,
        problem: null,
        imei: place.imei,
        marked_by: expect.any(String),
      });
      expect(await faulty()).toBe(true);
      const path = `/items/faulty_marks/${String(field(mark, 'id'))}`;
      expect(await control('PATCH', path, { until_at: '2026-01-03T10:00:00Z' })).toMatchObject({
        problem: expect.stringMatching(/longer than a day/u),
      });
      expect(await faulty()).toBe(false);
      expect(await control('PATCH', path, { until_at: range.until_at })).toMatchObject({ problem: null });
      expect(await faulty()).toBe(true);
      await control('DELETE', path);
      expect(await faulty()).toBe(false);
      await expect(control('POST', '/items/faulty_marks', { device_id: place.device })).rejects.toThrow(
        'HTTP 400',
      );
      // Neither by permission nor by the rights of Directus' database role.
      await expect(control('DELETE', `/items/incidents/${encodeURIComponent(key)}`)).rejects.toThrow(
        'HTTP 403',
      );
      await expect(real.api('DELETE', `/items/incidents/${encodeURIComponent(key)}`)).rejects.toThrow(
        'HTTP 500',
      );
    });

    test('a viewer reads classification, stage results and counted passings of published stages, and nothing else', async () => {
      const { sql } = real.fixture;
      const viewer = await addRequester(await addViewer());
      const [stage, draft] = [randomUUID(), randomUUID()];
      await sql`
        insert into stages (id, event_id, name, order_number, status)
        values (${stage}, ${eventId}, 'SS 8', 8, 'published'), (${draft}, ${eventId}, 'SS 9', 9, 'draft')`;
      for (const [n, stageId, verdict] of [
        [1, stage, 'counted'],
        [2, stage, 'repeated'],
        [3, draft, 'counted'],
      ] as const) {
        await sql`
          insert into passings (key, event_id, entry_id, stage_id, rule, rule_version, confidence, is_decided, lap, gate_id,
                                direction, passed_at, uncertainty_ms, verdict, device_id)
          values (${`passing ${n}`}, ${eventId}, ${randomUUID()}, ${stageId}, 'gate', 1, 'high', false, 1, ${randomUUID()},
                  'forward', now(), 1, ${verdict}, 'an IMEI')`;
        await sql`
          insert into classification (key, event_id, entry_id, stage_id, rule, rule_version, confidence, is_decided,
                                      list_order, status, stages_finished, is_derived)
          values (${`place ${n}`}, ${eventId}, ${randomUUID()}, ${n === 2 ? null : stageId}, 'classification', 1, 'high',
                  false, 1, 'finished', 1, false)`;
      }
      const read = (path: string) => viewer('GET', `/items/${path}`).catch((error: unknown) => String(error));
      expect(await read('passings?fields=key')).toEqual(unlessForbidden([{ key: 'passing 1' }]));
      expect(await read('classification?fields=key&sort=key')).toEqual(
        unlessForbidden([{ key: 'place 1' }, { key: 'place 2' }]),
      );
      expect(await read('stage_results?fields=key')).toEqual(unlessForbidden([]));
      for (const path of [
        'incidents?limit=0',
        'waypoint_results',
        'zone_episodes',
        'result_changes',
        'race_problems',
        'vehicle_states',
        'faulty_marks',
        'passings?fields=device_id',
        'stage_results?fields=missed_waypoints',
      ]) {
        expect(`${path}: ${String(await read(path))}`).toMatch(/HTTP 403/u);
      }
    });

    test('a start list is imported by race control, changed, and imported again without a change', async () => {
      const add = async (collection: string, item: object) =>
        String(field(await real.api('POST', `/items/${collection}`, item), 'id'));
      const listed = await add('events', { name: 'Start list' });
      const imeis = [1, 2, 3].map((n) => `35630704244${n}000`);
      const deviceIds: string[] = [];
      for (const imei of imeis) deviceIds.push(await add('devices', { imei }));
      const token = randomUUID();
      const { userId } = await real.addUser(raceControlRole);
      await real.api('PATCH', `/users/${userId}`, { token });
      const api = connectDirectus(real.directus.url, hasRowRules ? token : real.directus.adminToken);
      const importList = (...lines: readonly string[]) =>
        importStartList(api, {
          eventId: listed,
          bytes: Buffer.from(['number,crew,class,start_order,start_at,devices', ...lines].join('\n')),
          local: { date: '2026-07-04', timeZone: 'Europe/Helsinki' },
          isDryRun: false,
        });
      expect(await importList(`1,Mäkelä,RC2,1,09:00:00,${imeis[0]}`, `2,B,RC2,2,,${imeis[1]}`)).toEqual([
        'entries: 2 created, 0 updated, 0 unchanged',
        'devices: 2 assigned, 0 removed',
      ]);
      const changed = [`1,Mäkelä,RC3,1,09:01:00.5,${imeis[1]} ${imeis[0]}`, `2,B,RC2,2,,${deviceIds[2]}`];
      expect(await importList(...changed)).toEqual([
        'entries: 0 created, 1 updated, 1 unchanged',
        'devices: 3 assigned, 2 removed',
      ]);
      expect(await importList(...changed)).toEqual([
        'entries: 0 created, 0 updated, 2 unchanged',
        'devices: 0 assigned, 0 removed',
      ]);
      const rows = await real.fixture.sql`
        select number, crew, class, start_order, start_at, entries.status, race_status,
               (select json_agg(imei order by order_number)
                  from entry_devices join devices on devices.id = device_id where entry_id = entries.id) as imeis
          from entries where event_id = ${listed} order by number`;
      const common = { status: 'published', race_status: 'entered' };
      expect(rows).toEqual([
        {
          ...common,
          number: '1',
          crew: 'Mäkelä',
          class: 'RC3',
          start_order: 1,
          start_at: new Date('2026-07-04T06:01:00.500Z'),
          imeis: [imeis[1], imeis[0]],
        },
        {
          ...common,
          number: '2',
          crew: 'B',
          class: 'RC2',
          start_order: 2,
          start_at: null,
          imeis: [imeis[2]],
        },
      ]);
      await expect(importList('3,C,RC2,3,,none')).rejects.toThrow('line 2: Directus has no device');
    });

    test('a permission that is withdrawn ends the subscription', async () => {
      const user = await addViewer();
      using viewer = await watch(user.session);
      await real.forbid(user, eventId);
      expect(await viewer.next('unsubscribed', undefined, 60_000)).toMatchObject({ reason: 'forbidden' });
    });

    test('a user who is suspended in Directus is disconnected and refused', async () => {
      const { userId, session } = await addViewer();
      using viewer = await watch(session);
      await real.api('PATCH', `/users/${userId}`, { status: 'suspended' });
      expect(await viewer.closed(60_000)).toBe(4001);
      expect(await tryConnect(real.gateway.wsUrl, { session })).toMatchObject({ status: 401 });
    });

    test('a refreshed session replaces the old one, whose connection is closed', async () => {
      const { session } = await addViewer();
      using viewer = await watch(session);
      using refreshed = await watch(await refresh(session));
      expect(await viewer.closed(60_000)).toBe(4001);
      await expectUpdates(refreshed);
    });

    test('a refreshed session is handed over, and the connection outlives the old one', async () => {
      const { session } = await addViewer();
      using viewer = await connectBatched(real.gateway.wsUrl, { session });
      const { connection } = await viewer.next('hello');
      viewer.send({ type: 'subscribe', topic: `event:${eventId}` });
      await viewer.next('subscribed', undefined, 20_000);
      const next = await refresh(session);
      await viewer.next('session-ended', undefined, 60_000);
      const response = await fetch(`${real.gateway.wsUrl.replace('ws:', 'http:')}?connection=${connection}`, {
        method: 'POST',
        headers: { cookie: `directus_session_token=${next}`, origin: testOrigin },
      });
      const { ticket }: { ticket: string } = JSON.parse(await response.text());
      viewer.send({ type: 'reauthenticate', ticket });
      await viewer.next('reauthenticated', undefined, 20_000);
      const allowed = () => real.gateway.metric('live_reauthorizations_total', { outcome: 'allowed' });
      const before = await allowed();
      await expect.poll(allowed, patience).toBeGreaterThan(before + 2);
      expect(viewer.socket.readyState).toBe(viewer.socket.OPEN);
      expect(viewer.messages.filter(({ type }) => type === 'unsubscribed')).toEqual([]);
    });

    test('a session that expires, or is logged out, closes the connection', async () => {
      const user = await addViewer();
      using expiring = await watch(user.session);
      using leaving = await watch(await real.logIn(user));
      const [, claims = ''] = user.session.split('.');
      const { session: token }: { session: string } = JSON.parse(Buffer.from(claims, 'base64url').toString());
      await real.fixture.sql`update directus_sessions set expires = now() where token = ${token}`;
      expect(await expiring.closed(60_000)).toBe(4001);
      expect(await tryConnect(real.gateway.wsUrl, { session: user.session })).toMatchObject({ status: 401 });
      await real.api('DELETE', `/users/${user.userId}`);
      expect(await leaving.closed(60_000)).toBe(4001);
    });

    test('odd event ids are refused before Directus is asked', async () => {
      const { session } = await addViewer();
      using viewer = await connect(real.gateway.wsUrl, { session });
      for (const id of ['7', eventId.toUpperCase(), '%2e', '../../users/me', 'a b', "o'neil/ü?#", '💥', '']) {
        viewer.send({ type: 'subscribe', id, topic: `event:${id}` });
        expect(await viewer.next('error')).toMatchObject({ code: 'unknown-topic' });
      }
    });

    test('the stand-in of other tests answers as this Directus does', async () => {
      const { session, userId } = await addViewer();
      const standIn = real.fixture.directus;
      const payload = { id: userId, role: null, session: 'none' };
      const cookies = {
        none: undefined,
        valid: session,
        garbage: 'garbage',
        foreign: signSession('another-secret', payload),
        expired: signSession(real.directus.secret, payload, -60),
        unknown: signSession(real.directus.secret, payload),
      };
      standIn.addSession(session, userId);
      standIn.allow(userId, eventId);
      standIn.addForeignSession(cookies.foreign);
      standIn.addSession(cookies.expired, userId);
      standIn.expireSession(cookies.expired);
      const ids = [
        eventId,
        eventId.toUpperCase(),
        randomUUID(),
        '7',
        'a%20b',
        "o'neil",
        '%F0%9F%92%A5',
        '%00',
        '..%2f',
      ];
      const paths = [
        '/users/me?fields=id',
        '/server/ping',
        ...ids.map((id) => `/items/events/${id}?fields=id`),
      ];
      const answers = async (url: string) => {
        const lines: string[] = [];
        for (const [name, cookie] of Object.entries(cookies)) {
          for (const path of paths) {
            const response = await fetch(`${url}${path}`, {
              headers: cookie === undefined ? {} : { cookie: `directus_session_token=${cookie}` },
            });
            lines.push(`${name} ${path}: ${response.status} ${describeBody(await response.text())}`);
          }
        }
        return lines;
      };
      expect(await answers(standIn.url)).toEqual(await answers(real.directus.url));
    });

    test('a snapshot of 1,500 devices is complete', async () => {
      const event = await real.fixture.addEvent(1500);
      const user = await real.addUser();
      await real.allow(user, event.eventId);
      await Promise.all(event.devices.map((device) => real.fixture.publish(fixOf(device))));
      await expect
        .poll(() => real.gateway.metric('live_stream_entries_total', { result: 'newest' }), patience)
        .toBeGreaterThanOrEqual(1500);
      using viewer = await connectBatched(real.gateway.wsUrl, { session: await real.logIn(user) });
      viewer.send({ type: 'subscribe', topic: `event:${event.eventId}` });
      await expect
        .poll(() => {
          const rows = viewer.messages.flatMap((message) =>
            message.type === 'snapshot' || message.type === 'positions' ? message.rows : [],
          );
          return new Set(rows.map(([device]) => device)).size;
        }, patience)
        .toBe(1500);
    });

    test('./run doctor names the policies of a user who may not watch', async () => {
      const user = await real.addUser();
      const folder = await mkdtemp(join(tmpdir(), 'doctor-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      const file = join(folder, 'session');
      await writeFile(file, await real.logIn(user));
      const explain = async () => {
        const { stdout } = await runProgram({
          main: new URL('../../../tools/doctor/src/main.ts', import.meta.url),
          args: ['--event', eventId, '--session', file],
          env: {
            REDIS_URL: real.fixture.redisUrl,
            POSTGRES_URL: real.fixture.postgresUrl,
            REDIS_TELEMETRY_STREAM: real.fixture.stream,
            DIRECTUS_BASE_URL: real.directus.url,
          },
        });
        return stdout;
      };
      const refused = await explain();
      expect(refused).toMatch(/ok +reachable +http/u);
      expect(refused).toMatch(/ok +collections/u);
      expect(refused).toMatch(/FAILED +permission/u);
      expect(refused).toMatch(
        version.startsWith('11.')
          ? /note +policies +.*Live: viewer: \{/u
          : /FAILED +policies +none reads events/u,
      );
      await real.allow(user, eventId);
      expect(await explain()).toMatch(/ok +permission/u);
    });

    test('a static token is a user, and without a login the public policy decides', async () => {
      const { userId } = await addViewer();
      const token = randomUUID();
      await real.api('PATCH', `/users/${userId}`, { token });
      const topic = `event:${eventId}`;
      expect(await outcomeOf({ headers: { authorization: `Bearer ${token}` } }, topic)).toBe('subscribed');
      expect(await outcomeOf({}, topic)).toBe('forbidden');
      const withdraw = await real.allowPublic();
      await expect.poll(() => outcomeOf({}, topic), patience).toBe('subscribed');
      await withdraw();
      await expect.poll(() => outcomeOf({}, topic), patience).toBe('forbidden');
    });

    test('while Directus is frozen viewers keep watching and new clients get 503', async () => {
      const { session } = await addViewer();
      using viewer = await watch(session);
      const [newSession = ''] = await real.addSessions(await real.addUser(), 1);
      real.directus.pause();
      onTestFinished(() => real.directus.resume());
      // Each waits for the deadline of 5 s.
      for (let n = 0; n < 4; n += 1) {
        expect(await tryConnect(real.gateway.wsUrl, { session: newSession })).toMatchObject({ status: 503 });
      }
      await expect
        .poll(() => real.gateway.metric('live_unconfirmed_subscriptions'), patience)
        .toBeGreaterThan(0);
      await expectUpdates(viewer);
      real.directus.resume();
      await expect.poll(() => real.gateway.metric('live_unconfirmed_subscriptions'), patience).toBe(0);
      await expectUpdates(viewer);
      (await eventually(() => connect(real.gateway.wsUrl, { session: newSession }), { timeoutMs: 60_000 }))[
        Symbol.dispose
      ]();
    });

    test('after a restart with the rate limiter on, 300 clients reconnect', async () => {
      const user = await addViewer();
      using viewer = await watch(user.session);
      const sessions = await real.addSessions(user, 600);
      await real.directus.restart({
        RATE_LIMITER_ENABLED: 'true',
        // Fewer a second than a slow machine asks for.
        RATE_LIMITER_POINTS: '100',
        RATE_LIMITER_DURATION: '5',
        IP_TRUST_PROXY: 'loopback',
      });
      await expectUpdates(viewer);
      // A busy machine takes longer than the default for 300 at once; the limiter is what is tested.
      const gateway = await real.startGateway({
        DIRECTUS_AUTH_TIMEOUT_MS: '30000',
        DIRECTUS_AUTHZ_TIMEOUT_MS: '30000',
      });
      const rateLimited = () =>
        gateway.metric('live_auth_duration_seconds_count', { outcome: 'rate_limited' });
      const admit = async (session: string, address: string): Promise<void> => {
        // As a client would: later after a 503.
        const client = await eventually(
          () => connect(gateway.wsUrl, { session, headers: { 'x-forwarded-for': address } }),
          { timeoutMs: 120_000, intervalMs: 1000 },
        );
        onTestFinished(() => client[Symbol.dispose]());
        await eventually(
          async () => {
            client.send({ type: 'subscribe', topic: `event:${eventId}` });
            return await client.next('subscribed', undefined, 10_000);
          },
          { timeoutMs: 120_000, intervalMs: 1000 },
        );
      };
      // Each from an address of its own, which Directus trusts the gateway for.
      await Promise.all(
        sessions.slice(0, 300).map((session, n) => admit(session, `10.0.${n >> 8}.${n & 255}`)),
      );
      expect(await rateLimited()).toBe(0);
      // All behind one address, as in a venue.
      await Promise.all(sessions.slice(300).map((session) => admit(session, '10.1.0.1')));
      expect(await rateLimited()).toBeGreaterThan(0);
      expect(await gateway.metric('live_subscriptions')).toBe(600);
    });
  });
});

/** The code of an error, or the data. */
function describeBody(text: string): string {
  try {
    const body: { errors?: { extensions: { code: string } }[]; data?: unknown } = JSON.parse(text);
    return body.errors?.[0]?.extensions.code ?? JSON.stringify(body.data);
  } catch {
    return text;
  }
}
