import { deepEqual, equal, ok } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ResultRow } from '@app/shared/messages';
import { resultsTopic } from '@app/shared/topics';
import { openSos, sosState, stageResult, type TestResultRow } from '@app/test-kit/result-rows';
import { connect } from '../client.ts';
import type { Client, Dialect } from '../client.ts';
import { defineCase } from '../conformance-case.ts';
import type { ConformanceCase } from '../conformance-case.ts';
import type { Capabilities, Session, Target, TestEvent } from '../target.ts';

type Rows = ReadonlyMap<string, ReadonlyMap<string, ResultRow>>;

/** What a client holds by the rules of docs/protocol.md, and the revision and the cursor that completed it. */
function heldBy(client: Client<Dialect>): {
  readonly rows: Rows;
  readonly revision: number | undefined;
  readonly cursor: string | undefined;
} {
  const rows = new Map<string, Map<string, ResultRow>>();
  let revision: number | undefined;
  let cursor: string | undefined;
  for (const message of client.all('results')) {
    if (message.reset === true) rows.clear();
    for (const [table, set] of Object.entries(message.set ?? {})) {
      const held = rows.get(table) ?? new Map<string, ResultRow>();
      rows.set(table, held);
      for (const row of set) held.set(keyOf(row), { ...held.get(keyOf(row)), ...row });
    }
    for (const [table, keys] of Object.entries(message.removed ?? {})) {
      for (const key of keys) rows.get(table)?.delete(key);
    }
    revision = message.revision;
    cursor = message.cursor ?? cursor;
  }
  return { rows, revision, cursor };
}

function keyOf(row: ResultRow): string {
  return String(row['key']);
}

/** A key as clients see it, without the event's id. */
function shortKey({ eventId }: TestEvent, row: TestResultRow): string {
  return row.key.slice(eventId.length + 1);
}

async function untilRevision(
  client: Client<Dialect>,
  revision: number,
  timeoutMs?: number,
): Promise<ReturnType<typeof heldBy>> {
  await client.until(
    `revision ${revision} is complete`,
    () => heldBy(client).revision === revision,
    timeoutMs,
  );
  return heldBy(client);
}

async function subscribe<D extends Dialect>(
  target: Target,
  dialect: D,
  event: TestEvent,
  options: { readonly session?: Session; readonly url?: string; readonly cursor?: string | undefined } = {},
): Promise<Client<D>> {
  const { session = event.session, url = target.url, cursor } = options;
  const client = await connect(target, dialect, session, { url });
  const topic = resultsTopic(event.eventId);
  await client.send({ type: 'subscribe', topic, id: 1, ...(cursor !== undefined && { cursor }) });
  return client;
}

/** Defines a case with an event without devices. */
function resultsCase(
  title: string,
  check: (target: Target & Pick<Capabilities, 'openTestEvent'>, event: TestEvent) => Promise<void>,
  options?: Parameters<typeof defineCase>[3],
): ConformanceCase {
  const open = async (target: Parameters<typeof check>[0]): Promise<void> => {
    await using event = await target.openTestEvent({ deviceCount: 0 });
    await check(target, event);
  };
  return defineCase(title, ['openTestEvent'], open, options);
}

export const resultsCases = [
  ...(['plain', 'batched'] as const).flatMap((dialect) => [
    resultsCase(
      `${dialect}: results begin with a reset that repeats the id, in frames below 16 KiB, and are complete with a revision`,
      async (target, event) => {
        using early = await subscribe(target, dialect, event);
        equal((await untilRevision(early, 0)).rows.size, 0, 'an event without an evaluation has results');
        const rows = Array.from({ length: 100 }, (_, at) => stageResult(event.eventId, randomUUID(), at));
        const revision = await event.writeResults({ set: { stage_results: rows } });
        using client = await subscribe(target, dialect, event);
        const { rows: held } = await untilRevision(client, revision);
        const [first] = client.all('results');
        deepEqual([first?.id, first?.reset], [1, true]);
        deepEqual(
          new Set(held.get('stage_results')?.keys()),
          new Set(rows.map((row) => shortKey(event, row))),
        );
        ok(
          client.received.every(({ bytes }) => bytes < 16_384),
          'a frame of 16 KiB or more',
        );
        const row = JSON.stringify([...(held.get('stage_results')?.values() ?? [])][0]);
        ok(!/event_id|computed_at|device_id/u.test(row), `columns that are left out: ${row}`);
      },
      { covers: ['message results'] },
    ),
    resultsCase(`${dialect}: a change of results has the columns that changed`, async (target, event) => {
      const [changing, leaving] = [
        stageResult(event.eventId, randomUUID(), 1),
        stageResult(event.eventId, randomUUID(), 1),
      ];
      await event.writeResults({ set: { stage_results: [changing, leaving] } });
      using client = await subscribe(target, dialect, event);
      await client.next('results', ({ revision }) => revision !== undefined);
      const passedAt = 1_795_492_274_216;
      const revision = await event.writeResults({
        set: { stage_results: [{ ...changing, progress_m: 2, last_gate_at: passedAt }] },
        removed: { stage_results: [leaving.key] },
      });
      await untilRevision(client, revision);
      const { set, removed } = client.all('results').at(-1) ?? {};
      deepEqual(
        { set, removed },
        {
          set: {
            stage_results: [{ key: shortKey(event, changing), progress_m: 2, last_gate_at: passedAt }],
          },
          removed: { stage_results: [shortKey(event, leaving)] },
        },
      );
    }),
  ]),
  resultsCase(
    'results: a cursor resumes with what changed since, and one that is unknown begins with a reset',
    async (target, event) => {
      const [staying, changing] = [
        stageResult(event.eventId, randomUUID(), 1),
        stageResult(event.eventId, randomUUID(), 1),
      ];
      const first = await event.writeResults({ set: { stage_results: [staying, changing] } });
      using client = await subscribe(target, 'batched', event);
      const { cursor } = await untilRevision(client, first);
      const last = await event.writeResults({ set: { stage_results: [{ ...changing, progress_m: 2 }] } });
      await untilRevision(client, last);
      using resumed = await subscribe(target, 'batched', event, { cursor });
      const { rows } = await untilRevision(resumed, last);
      ok(!resumed.all('results').some(({ reset }) => reset === true), 'not resumed');
      deepEqual([...(rows.get('stage_results')?.keys() ?? [])], [shortKey(event, changing)]);
      using current = await subscribe(target, 'batched', event, { cursor: heldBy(client).cursor });
      equal(
        (await current.next('results')).revision,
        last,
        'nothing has changed, and the answer does not say so',
      );
      using unknown = await subscribe(target, 'batched', event, { cursor: 'nonsense' });
      equal((await unknown.next('results')).reset, true);
      equal((await untilRevision(unknown, last)).rows.get('stage_results')?.size, 2);
    },
  ),
  resultsCase(
    'results: revisions that were announced without their changes, or not at all, arrive',
    async (target, event) => {
      const row = stageResult(event.eventId, randomUUID(), 0);
      const first = await event.writeResults({ set: { stage_results: [row] } });
      using client = await subscribe(target, 'batched', event);
      await untilRevision(client, first);
      for (const announced of ['without changes', 'not', 'with changes'] as const) {
        const set = { stage_results: [{ ...row, confidence: announced }] };
        const revision = await event.writeResults({ set, announced });
        const { rows } = await untilRevision(client, revision);
        equal(rows.get('stage_results')?.get(shortKey(event, row))?.['confidence'], announced);
      }
    },
  ),
  resultsCase(
    'results: unsubscribe ends them, update is refused, and an event that does not exist is forbidden',
    async (target, event) => {
      const topic = resultsTopic(event.eventId);
      using client = await subscribe(target, 'batched', event);
      await untilRevision(client, 0);
      await client.send({ type: 'update', topic, id: 2, maxHz: 1 });
      deepEqual((await client.next('error')).code, 'unknown-topic');
      await client.send({ type: 'unsubscribe', topic, id: 3 });
      deepEqual(await client.next('unsubscribed'), { type: 'unsubscribed', topic, id: 3 });
      await event.writeResults({
        set: { stage_results: [stageResult(event.eventId, randomUUID(), 1)] },
      });
      await client.roundTrip();
      await client.untilQuiet(200);
      const types = client.received.map(({ message }) => message.type);
      ok(types.lastIndexOf('results') < types.indexOf('unsubscribed'), 'results after unsubscribed');
      await client.send({ type: 'subscribe', topic: resultsTopic(randomUUID()), id: 4 });
      const error = await client.next('error', ({ id }) => id === 4);
      deepEqual([error.code, error.temporary], ['forbidden', false]);
    },
  ),
  defineCase(
    'results: incidents and SOS are sent to who may read the collection incidents, and a reset follows when that changes',
    ['openTestEvent', 'directus', 'replicas'],
    async (target) => {
      await using event = await target.openTestEvent({ deviceCount: 0 });
      await using replica = await target.replicas.start({ REAUTHORIZE_INTERVAL_MS: '300' });
      const entryId = randomUUID();
      const revision = await event.writeResults({
        set: {
          incidents: [openSos(event.eventId, entryId)],
          vehicle_states: [sosState(event.eventId, entryId)],
        },
      });
      const viewer = target.directus.newViewer(event.eventId);
      using client = await subscribe(target, 'batched', event, { session: viewer, url: replica.url });
      const expectPublic = async (): Promise<void> => {
        const { rows } = await untilRevision(client, revision);
        deepEqual([...rows.keys()], ['vehicle_states']);
        const [state] = rows.get('vehicle_states')?.values() ?? [];
        deepEqual([state?.['state'], state?.['tracker_state']], ['silent', undefined]);
      };
      await expectPublic();
      target.directus.setIncidents(viewer.userId, true);
      await client.until('incidents are shown', () => heldBy(client).rows.has('incidents'), target.refreshMs);
      target.directus.setIncidents(viewer.userId, false);
      await client.until(
        'incidents are no longer shown',
        () => !heldBy(client).rows.has('incidents'),
        target.refreshMs,
      );
      await expectPublic();
    },
    { schedule: 'parallel' },
  ),
];
