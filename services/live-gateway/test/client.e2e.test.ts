import { randomUUID } from 'node:crypto';
import { connect } from '@app/live-client';
import { stageResult, writeRevision } from '@app/test-kit/result-rows';
import { eventually } from '@app/test-kit/eventually';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { deviceAt, fixOf, openFixture } from './support/open-fixture.ts';
import type { TestDevice, Fixture } from './support/open-fixture.ts';
import { testOrigin } from './support/start-gateway.ts';
import type { RunningGateway } from './support/start-gateway.ts';
import {
  expectHeld,
  expectLost,
  expectNoOlderFix,
  expectState,
  openWatchingClient,
} from './support/watching-client.ts';
import type { WatchingClient } from './support/watching-client.ts';

let fixture: Fixture;
let gateway: RunningGateway;
let other: RunningGateway;

const settings = { REAUTHORIZE_INTERVAL_MS: '500', AUTH_CACHE_TTL_MS: '0', AUTHZ_CACHE_TTL_MS: '0' };

beforeAll(async () => {
  fixture = await openFixture();
  [gateway, other] = await Promise.all([
    fixture.start({ instanceId: 'one', env: settings }),
    fixture.start({ instanceId: 'two', env: settings }),
  ]);
  await Promise.all([gateway.ready(), other.ready()]);
});

afterAll(async () => {
  await fixture?.[Symbol.asyncDispose]();
});

beforeEach(() => fixture.healDirectus());

function watch(options?: Parameters<typeof openWatchingClient>[2]): Promise<WatchingClient> {
  return openWatchingClient(fixture, [gateway, other], options);
}

/** Publishes a fix of now for each of these devices; returns the fix times by device id. */
async function publish(...devices: readonly TestDevice[]): Promise<Record<string, number>> {
  const fixAtMs = Date.now();
  for (const device of devices) await fixture.publish(fixOf(device, { fixAtMs }));
  return Object.fromEntries(devices.map(({ id }) => [id, fixAtMs]));
}

describe('the client in Node, with the gateway', () => {
  test('becomes live, shows the snapshot and changes by device id, and never sees an IMEI', async () => {
    using watching = await watch();
    await expectState(watching, 'live');
    const fixes = await publish(...watching.devices);
    await expectHeld(watching, fixes);
    expect(watching.live.positions.get(watching.topic)?.get(deviceAt(watching.devices, 0).id)).toEqual({
      deviceId: deviceAt(watching.devices, 0).id,
      lat: 46.5,
      lon: 8.25,
      ts: fixes[deviceAt(watching.devices, 0).id],
      speed: 72.5,
      course: 90,
      altitude: 512,
    });
    expect(watching.states).toEqual(['live']);
    expect(JSON.stringify(watching.changes)).not.toContain(deviceAt(watching.devices, 0).imei);
  });

  test('holds results beside positions, resumes them at another replica, and gets only what it missed', async () => {
    using watching = await watch({ withResults: true });
    await expectState(watching, 'live');
    const { eventId, live, resultsChanges } = watching;
    const held = () => live.results.get(`results:${eventId}`)?.get('stage_results');
    const entries = ['first', 'second'].map(() => stageResult(eventId, randomUUID(), 1));
    const [first, second] = entries;
    if (!first || !second) throw new Error('no rows');
    await writeRevision(fixture, eventId, { set: { stage_results: entries } });
    await eventually(() => held()?.size === 2, { timeoutMs: 15_000 });

    watching.replica = other;
    watching.cut();
    await expectLost(watching);
    const before = resultsChanges.length;
    const revision = await writeRevision(fixture, eventId, {
      set: { stage_results: [{ ...first, progress_m: 7 }] },
      removed: { stage_results: [second.key] },
    });
    await eventually(() => held()?.size === 1, { timeoutMs: 15_000 });
    const key = first.key.slice(eventId.length + 1);
    expect(held()?.get(key)).toMatchObject({ key, entry_id: first['entry_id'], progress_m: 7 });
    await expectState(watching, 'live');
    const since = resultsChanges.slice(before).filter(({ set }) => set['stage_results'] !== undefined);
    expect(since).toMatchObject([
      { set: { stage_results: [{ key }] }, removed: { stage_results: [expect.any(String)] }, revision },
    ]);

    // A reader that begins later starts with what is held, and a slow one gets the newest content.
    const reader = live.resultChanges()[Symbol.asyncIterator]();
    expect((await reader.next()).value).toMatchObject({
      set: { stage_results: [{ key, progress_m: 7 }] },
      revision,
    });
    for (const progressM of [8, 9]) {
      await writeRevision(fixture, eventId, {
        set: { stage_results: [{ ...first, progress_m: progressM }] },
      });
      await eventually(() => held()?.get(key)?.['progress_m'] === progressM, { timeoutMs: 15_000 });
    }
    expect((await reader.next()).value).toMatchObject({
      set: { stage_results: [{ key, progress_m: 9 }] },
      removed: {},
      revision: revision + 2,
    });
    live.close();
    expect(await reader.next()).toMatchObject({ done: true });
  });

  test('resumes from its cursor after a cut, and gets only what it missed', async () => {
    using watching = await watch();
    const fixes = await publish(...watching.devices);
    await expectHeld(watching, fixes);
    const recoveredBefore = await gateway.metric('live_resumes_total', { outcome: 'recovered' });
    const changesBefore = watching.changes.length;
    watching.cut();
    await expectLost(watching);
    const missed = await publish(deviceAt(watching.devices, 1));
    await expectHeld(watching, { ...fixes, ...missed });
    expect(await gateway.metric('live_resumes_total', { outcome: 'recovered' })).toBe(recoveredBefore + 1);
    const since = watching.changes.slice(changesBefore);
    expect(since.flatMap(({ positions }) => positions.map(({ deviceId }) => deviceId))).toEqual([
      deviceAt(watching.devices, 1).id,
    ]);
    expect(since.flatMap(({ removed }) => removed)).toEqual([]);
  });

  test('resumes on another replica without a gap or a removal', async () => {
    using watching = await watch();
    const fixes = await publish(...watching.devices);
    await expectHeld(watching, fixes);
    const recoveredBefore = await other.metric('live_resumes_total', { outcome: 'recovered' });
    const changesBefore = watching.changes.length;
    watching.replica = other;
    watching.cut();
    const missed = await publish(deviceAt(watching.devices, 2));
    await expectHeld(watching, { ...fixes, ...missed });
    expect(await other.metric('live_resumes_total', { outcome: 'recovered' })).toBe(recoveredBefore + 1);
    expect(watching.changes.slice(changesBefore).flatMap(({ removed }) => removed)).toEqual([]);
  });

  test('ends with the newest fixes and never shows an older one, over cuts and changes of replica under load', async () => {
    using watching = await watch({ deviceCount: 20 });
    await expectState(watching, 'live');
    const newest: Record<string, number> = {};
    for (let round = 0; round < 60; round += 1) {
      Object.assign(newest, await publish(...watching.devices.filter((_, at) => (at + round) % 3 === 0)));
      if (round % 12 === 5) {
        watching.replica = watching.replica === gateway ? other : gateway;
        watching.cut();
      }
      // The fixes of the next round must be newer.
      await eventually(() => Date.now() > Math.max(...Object.values(newest)), { intervalMs: 5 });
    }
    await expectHeld(watching, newest);
    expectNoOlderFix(watching);
    expect(watching.states.filter((state) => state === 'reconnecting').length).toBeGreaterThanOrEqual(1);
  });

  test('sees only its box, and follows updates of the box', async () => {
    using watching = await watch({ bbox: [0, 40, 10, 50] });
    await expectState(watching, 'live');
    const [inside, outside] = [deviceAt(watching.devices, 0), deviceAt(watching.devices, 1)];
    const shown = await publish(inside);
    const fixAtMs = Date.now();
    await fixture.publish(fixOf(outside, { fixAtMs, longitude: 20 }));
    await expectHeld(watching, shown);
    watching.live.update({ bbox: [15, 40, 25, 50] });
    await expectHeld(watching, { [outside.id]: fixAtMs });
    watching.live.update({ bbox: null });
    await expectHeld(watching, { ...shown, [outside.id]: fixAtMs });
  });

  test('whose session ends tries its cookie, checks the session, refreshes it and continues', async () => {
    using watching = await watch({ renew: () => fixture.addViewer(watching.eventId).session });
    const fixes = await publish(...watching.devices);
    await expectHeld(watching, fixes);
    fixture.directus.expireSession(watching.session);
    await expectLost(watching);
    const missed = await publish(deviceAt(watching.devices, 0));
    await expectHeld(watching, { ...fixes, ...missed });
    expect(watching.sessionCalls).toEqual(['check 401', 'refresh']);
    await expectState(watching, 'live');
  });

  test('whose session ends and cannot be refreshed stops as unauthorised', async () => {
    using watching = await watch();
    await expectState(watching, 'live');
    fixture.directus.expireSession(watching.session);
    await expectState(watching, 'unauthorised');
    expect(watching.sessionCalls).toEqual(['check 401']);
  });

  test('whose cookie was renewed by another tab reconnects without a refresh', async () => {
    using watching = await watch({ renew: () => fixture.addViewer(watching.eventId).session });
    await expectState(watching, 'live');
    const ended = watching.session;
    watching.session = fixture.addViewer(watching.eventId).session;
    fixture.directus.expireSession(ended);
    await expectLost(watching);
    await expectState(watching, 'live');
    expect(watching.sessionCalls).toEqual([]);
  });

  test('whose session was refreshed hands the next one over by itself, through another replica', async () => {
    const env = { ...settings, LIVE_TICKET_KEY: 'a key that all replicas of this test share' };
    const [first, second] = await Promise.all([
      fixture.start({ instanceId: 'tickets-one', env }),
      fixture.start({ instanceId: 'tickets-two', env }),
    ]);
    await Promise.all([first.ready(), second.ready()]);
    fixture.directus.refreshGraceMs = 0;
    const urls: string[] = [];
    using watching = await openWatchingClient(fixture, [first, second], {
      requestTicket: async (url, signal) => {
        urls.push(url);
        const headers = { origin: testOrigin, cookie: `directus_session_token=${watching.session}` };
        const { search } = new URL(url);
        const replica = second.wsUrl.replace('ws:', 'http:');
        return await fetch(`${replica}${search}`, { method: 'POST', headers, signal });
      },
    });
    await expectState(watching, 'live');
    const accepted = { outcome: 'accepted' };
    // Told by the page, and found out by the gateway.
    for (const tell of [() => watching.live.sessionRefreshed(), () => undefined]) {
      const before = await first.metric('live_reauthentications_total', accepted);
      watching.session = fixture.directus.renewSession(watching.session);
      tell();
      await eventually(async () => (await first.metric('live_reauthentications_total', accepted)) > before, {
        timeoutMs: 10_000,
      });
    }
    expect(urls[0]).toMatch(`${first.wsUrl.replace('ws:', 'http:')}?connection=`);
    const allowed = { outcome: 'allowed' };
    const checked = await first.metric('live_reauthorizations_total', allowed);
    await eventually(async () => (await first.metric('live_reauthorizations_total', allowed)) > checked);
    expect([watching.states, watching.sessionCalls]).toEqual([['live'], []]);
    await Promise.all([first.kill(), second.kill()]);
  });

  test('whose permission is withdrawn shows nothing of the event', async () => {
    using watching = await watch();
    const fixes = await publish(...watching.devices);
    await expectHeld(watching, fixes);
    fixture.directus.forbid(watching.userId, watching.eventId);
    await expectState(watching, 'unauthorised');
    await expectHeld(watching, {});
  });

  test('keeps retrying while Directus is down, and becomes live once it is up', async () => {
    fixture.directus.misbehave('503');
    const { eventId } = await fixture.addEvent(0);
    const { session } = fixture.addViewer(eventId);
    const statuses: number[] = [];
    using live = connect({
      url: gateway.wsUrl,
      topics: [`event:${eventId}`],
      openSocket: (url, protocol) =>
        new WebSocket(url, protocol, {
          headers: { origin: testOrigin, cookie: `directus_session_token=${session}` },
        }),
      checkSession: async (signal) => {
        const { status } = await fetch(`${fixture.directus.url}/users/me`, { signal });
        statuses.push(status);
        return { status };
      },
    });
    await eventually(() => statuses.length > 0, { timeoutMs: 15_000 });
    expect(statuses).toEqual([503]);
    expect(live.state).toBe('connecting');
    await fixture.healDirectus();
    await eventually(() => live.state === 'live', { timeoutMs: 30_000 });
  });

  test('moves from a stopping gateway to another without showing an older fix', async () => {
    const stopping = await fixture.start({
      instanceId: 'stopping',
      env: { ...settings, LIVE_WS_DRAIN_TIMEOUT_MS: '200' },
    });
    await stopping.ready();
    using watching = await watch();
    await expectState(watching, 'live');
    watching.replica = stopping;
    watching.cut();
    await expectLost(watching);
    await expectState(watching, 'live');
    const fixes = await publish(...watching.devices);
    await expectHeld(watching, fixes);
    watching.replica = other;
    expect(await stopping.stop()).toBe(0);
    const missed = await publish(deviceAt(watching.devices, 0));
    await expectHeld(watching, { ...fixes, ...missed });
    expectNoOlderFix(watching);
    expect(watching.changes.flatMap(({ removed }) => removed)).toEqual([]);
  });
});
