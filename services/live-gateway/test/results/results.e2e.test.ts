import { randomUUID } from 'node:crypto';
import type { ServerMessage } from '@app/shared/messages';
import { openSos, sosState, stageResult, writeRevision } from '@app/test-kit/result-rows';
import { eventually } from '@app/test-kit/eventually';
import { startFaultyNetwork } from '@app/test-kit/faulty-network';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { heldResults, untilRevision, type HeldResults } from '../support/held-results.ts';
import { deviceAt, fixOf, openFixture } from '../support/open-fixture.ts';
import type { Fixture } from '../support/open-fixture.ts';
import type { RunningGateway } from '../support/start-gateway.ts';
import { connect, connectBatched } from '../support/viewer.ts';
import type { BatchedViewer, Viewer } from '../support/viewer.ts';

let fixture: Fixture;
let gateway: RunningGateway;

beforeAll(async () => {
  fixture = await openFixture();
  gateway = await fixture.start({ env: { REAUTHORIZE_INTERVAL_MS: '300' } });
  await gateway.ready();
});

afterAll(() => fixture[Symbol.asyncDispose]());

/** An event with a stage result of one entry and an open SOS. */
async function addRace() {
  const { eventId, devices } = await fixture.addEvent(1);
  const entryId = randomUUID();
  const onStage = stageResult(eventId, entryId, 100);
  const sos = openSos(eventId, entryId);
  const revision = await writeRevision(fixture, eventId, {
    set: { stage_results: [onStage], incidents: [sos], vehicle_states: [sosState(eventId, entryId)] },
  });
  return { eventId, devices, entryId, onStage, sos, revision, topic: `results:${eventId}` };
}

/** Connects somebody who may see the event, and its incidents. */
async function watch(
  eventId: string,
  { from = gateway, cursor }: { readonly from?: RunningGateway; readonly cursor?: string | undefined } = {},
): Promise<BatchedViewer & { readonly userId: string }> {
  const { session, userId } = fixture.addViewer(eventId);
  fixture.directus.allowIncidents(userId);
  const viewer = await connectBatched(from.wsUrl, { session });
  viewer.send({
    type: 'subscribe',
    topic: `results:${eventId}`,
    id: 1,
    ...(cursor !== undefined && { cursor }),
  });
  return Object.assign(viewer, { userId });
}

function reads(reason: string): Promise<number> {
  return gateway.metric('live_results_reads_total', { reason, outcome: 'read' });
}

test('an event that has never been evaluated has revision 0 and no rows, and its first revision arrives', async () => {
  const { eventId } = await fixture.addEvent(0);
  const topic = `results:${eventId}`;
  using viewer = await watch(eventId);
  expect(await viewer.next('results')).toMatchObject({ topic, id: 1, reset: true });
  expect(await untilRevision(viewer, topic, 0)).toMatchObject({ rows: {} });
  const onStage = stageResult(eventId, randomUUID(), 1);
  await writeRevision(fixture, eventId, { set: { stage_results: [onStage] } });
  expect((await untilRevision(viewer, topic, 1)).rows['stage_results']).toHaveLength(1);
});

describe('a subscription', () => {
  test.each([
    ['plain', connect],
    ['batched', connectBatched],
  ] as const)('in the %s dialect gets a snapshot, then only the columns that change', async (_, open) => {
    const { eventId, topic, onStage, sos, revision } = await addRace();
    const { session, userId } = fixture.addViewer(eventId);
    fixture.directus.allowIncidents(userId);
    using viewer: Viewer<ServerMessage> = await open(gateway.wsUrl, { session });
    viewer.send({ type: 'subscribe', topic, id: 7 });
    expect(await viewer.next('results', ({ id }) => id !== undefined)).toMatchObject({ id: 7, reset: true });
    const { rows } = await untilRevision(viewer, topic, revision);
    const key = onStage.key.slice(eventId.length + 1);
    expect(rows['stage_results']).toMatchObject([{ key, status: 'on_stage', progress_m: 100 }]);
    expect(rows['incidents']).toMatchObject([{ rule: 'sos', from_at: sos['from_at'], is_open: true }]);

    const next = await writeRevision(fixture, eventId, {
      set: { stage_results: [{ ...onStage, progress_m: 120 }] },
      removed: { incidents: [sos.key] },
    });
    await untilRevision(viewer, topic, next);
    expect(viewer.messages.at(-1)).toEqual({
      type: 'results',
      topic,
      set: { stage_results: [{ key, progress_m: 120 }] },
      removed: { incidents: [sos.key.slice(eventId.length + 1)] },
      revision: next,
      cursor: expect.any(String),
    });
    viewer.send({ type: 'unsubscribe', topic, id: 8 });
    expect(await viewer.next('unsubscribed')).toEqual({ type: 'unsubscribed', topic, id: 8 });
    // An IMEI is a tracker's only credential.
    expect(JSON.stringify(viewer.messages)).not.toMatch(/device_id|359421000012345/u);
  });

  test('continues where its cursor is, on any gateway, and begins anew without one that fits', async () => {
    const { eventId, topic, onStage, revision } = await addRace();
    using first = await watch(eventId);
    const { cursor } = await untilRevision(first, topic, revision);
    const write = (progressM: number) =>
      writeRevision(fixture, eventId, { set: { stage_results: [{ ...onStage, progress_m: progressM }] } });
    await write(200);
    const last = await write(300);
    await untilRevision(first, topic, last);
    const other = await fixture.start({ instanceId: randomUUID() });
    await other.ready();
    for (const from of [gateway, other]) {
      using resumed = await watch(eventId, { from, cursor });
      const { rows, resets } = await untilRevision(resumed, topic, last);
      expect(resets).toBe(0);
      expect(rows['stage_results']).toMatchObject([{ progress_m: 300 }]);
      expect(rows['incidents']).toBeUndefined();
    }
    using current = await watch(eventId, { cursor: heldResults(first, topic).cursor });
    expect(await current.next('results')).toMatchObject({ id: 1, revision: last });
    using unknown = await watch(eventId, { cursor: 'made-up' });
    expect(await untilRevision(unknown, topic, last)).toMatchObject({ resets: 1 });
  });

  test('gets revisions that were announced without their changes, or not at all, or after missed ones', async () => {
    const { eventId, topic, onStage, revision } = await addRace();
    using viewer = await watch(eventId);
    await untilRevision(viewer, topic, revision);
    const write = async (progressM: number, announced: 'with changes' | 'without changes' | 'not') => {
      const set = { stage_results: [{ ...onStage, progress_m: progressM }] };
      return writeRevision(fixture, eventId, { set, announced });
    };
    const expectProgress = async (at: number, progressM: number): Promise<void> => {
      const { rows, resets } = await untilRevision(viewer, topic, at);
      expect(rows['stage_results']).toMatchObject([{ progress_m: progressM }]);
      expect(resets).toBe(1);
    };
    const gapsBefore = await reads('gap');
    await expectProgress(await write(1, 'without changes'), 1);
    expect(await reads('gap')).toBe(gapsBefore + 1);
    const unannouncedBefore = await reads('unannounced');
    await expectProgress(await write(2, 'not'), 2);
    expect(await reads('unannounced')).toBe(unannouncedBefore + 1);
    // The stream was emptied, and one announcement is lost.
    await fixture.redis.del(topic);
    await write(3, 'not');
    await expectProgress(await write(4, 'with changes'), 4);
    await expectProgress(await write(5, 'with changes'), 5);
  });

  test('of who may not see the event is refused, and ends when that is withdrawn', async () => {
    const { eventId, topic, revision } = await addRace();
    using stranger = await connectBatched(gateway.wsUrl, fixture.addViewer());
    stranger.send({ type: 'subscribe', topic, id: 1 });
    expect(await stranger.next('error')).toMatchObject({ id: 1, code: 'forbidden' });
    stranger.send({ type: 'subscribe', topic: `results:${randomUUID()}`, id: 2 });
    expect(await stranger.next('error')).toMatchObject({ id: 2, code: 'forbidden' });

    using viewer = await watch(eventId);
    await untilRevision(viewer, topic, revision);
    fixture.directus.forbid(viewer.userId, eventId);
    expect(await viewer.next('unsubscribed', undefined, 15_000)).toMatchObject({
      topic,
      reason: 'forbidden',
    });
  });
});

test('incidents and SOS are shown as long as Directus shows the collection to the client', async () => {
  const { eventId, entryId, topic, revision } = await addRace();
  const { session, userId } = fixture.addViewer(eventId);
  using viewer = await connectBatched(gateway.wsUrl, { session });
  viewer.send({ type: 'subscribe', topic });
  const { rows, cursor } = await untilRevision(viewer, topic, revision);
  const expectPublic = (shown: HeldResults['rows']): void => {
    expect(Object.keys(shown).toSorted()).toEqual(['stage_results', 'vehicle_states']);
    const [state] = shown['vehicle_states'] ?? [];
    expect(state).toEqual({
      key: `${entryId}/state`,
      entry_id: entryId,
      state: 'silent',
      since: 1_795_492_200_000,
    });
  };
  expectPublic(rows);

  fixture.directus.allowIncidents(userId);
  await eventually(() => heldResults(viewer, topic).rows['incidents'], { timeoutMs: 15_000 });
  expect(heldResults(viewer, topic)).toMatchObject({ resets: 2 });
  // What was held with less rights is not resumed.
  using again = await watch(eventId, { cursor });
  expect((await untilRevision(again, topic, revision)).rows['incidents']).toHaveLength(1);

  fixture.directus.forbidIncidents(userId);
  await eventually(() => heldResults(viewer, topic).resets === 3, { timeoutMs: 15_000 });
  expectPublic((await untilRevision(viewer, topic, revision)).rows);
});

test('without the tables, or without Postgres, results are unavailable and positions go on', async () => {
  await using own = await openFixture();
  await using network = await startFaultyNetwork({ target: own.postgresUrl });
  const { eventId, devices } = await own.addEvent(1);
  const started = await own.start({ postgresUrl: network.through(own.postgresUrl) });
  await started.ready();
  using viewer = await connectBatched(started.wsUrl, { session: own.addViewer(eventId).session });
  const topic = `results:${eventId}`;
  const expectUnavailable = async (id: number): Promise<void> => {
    viewer.send({ type: 'subscribe', topic, id });
    const error = await viewer.next('error', (message) => message.id === id, 20_000);
    expect(error).toMatchObject({ code: 'unavailable', temporary: true, retryAfterMs: 2000 });
  };
  const expectPosition = async (): Promise<void> => {
    const fix = fixOf(deviceAt(devices));
    await own.publish(fix);
    await viewer.next('positions', ({ rows }) => rows.some(([, , , ts]) => ts === fix.fixAtMs));
  };
  viewer.send({ type: 'subscribe', topic: `event:${eventId}`, maxHz: 20 });
  await viewer.next('snapshot');

  await own.sql`alter table zone_episodes rename to zone_episodes_away`;
  await expectUnavailable(1);
  await expectPosition();
  await own.sql`alter table zone_episodes_away rename to zone_episodes`;
  await network.refuse();
  network.cut();
  await expectUnavailable(2);
  await expectPosition();
  expect(
    started.log.filter(({ msg }) => msg === 'reading results from Postgres failed; retrying'),
  ).toHaveLength(1);

  await network.heal();
  await eventually(
    async () => {
      viewer.send({ type: 'subscribe', topic, id: 'again' });
      await viewer.next('results', ({ id }) => id === 'again', 1000);
      return true;
    },
    { timeoutMs: 30_000 },
  );
  await untilRevision(viewer, topic, 0);
  // A table that is locked holds up its readers only.
  await own.sql.begin(async (transaction) => {
    await transaction`lock table passings`;
    await writeRevision(own, eventId, { announced: 'without changes' });
    await expectPosition();
    const other = await own.addEvent(1);
    using late = await connectBatched(started.wsUrl, { session: own.addViewer(other.eventId).session });
    await eventually(async () => {
      late.send({ type: 'subscribe', topic: `event:${other.eventId}`, id: randomUUID() });
      const { devices: count } = await late.next('subscribed');
      late.send({ type: 'unsubscribe', topic: `event:${other.eventId}` });
      return count === 1;
    });
  });
  await untilRevision(viewer, topic, 1);
});
