import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { resultsReply } from '../../src/results/encode-results.ts';
import type { ResultsView } from '../../src/results/result-rows.ts';
import { ResultsSubscription } from '../../src/results/results-subscription.ts';
import {
  eventId,
  ModelClient,
  ModelGateway,
  ModelTables,
  shownRows,
  tableNames,
  topic,
} from '../support/results-model.ts';

const row = fc.record({
  state: fc.constantFrom('moving', 'sos', null),
  tracker_state: fc.constantFrom('moving', 'silent'),
  verdict: fc.constantFrom('counted', 'repeated'),
  tracker_state_since: fc.option(fc.integer({ min: 0, max: 5 })),
  // Some rows fill a frame.
  note: fc.constantFrom('', 'x'.repeat(9000)),
});
const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(row, { nil: undefined }));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ table: fc.constantFrom(...tableNames), changes: fc.array(change) }) },
  { weight: 3, arbitrary: fc.record({ missed: fc.constantFrom(0, 0, 1, 3) }) },
  { weight: 3, arbitrary: fc.record({ framesUntilLagging: fc.constantFrom(0, 1, 2, Infinity) }) },
  { weight: 1, arbitrary: fc.record({ view: fc.constantFrom<ResultsView>('full', 'public') }) },
  // Of the two: the one that has followed, or one that starts now.
  { weight: 2, arbitrary: fc.record({ reconnect: fc.constantFrom('same', 'new') }) },
  { weight: 1, arbitrary: fc.record({ restoredAt: fc.nat(20) }) },
);

test('a client that lags, reconnects, resumes or changes its view holds exactly the rows of each revision it was sent', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const at = new ModelTables();
      let gateway = new ModelGateway(at);
      const client = new ModelClient(at);
      let view: ResultsView = 'full';
      let nowMs = 0;
      const subscribe = (): ResultsSubscription => {
        const state = client.cursor === undefined ? undefined : gateway.results.stateAt(client.cursor, view);
        const isCurrent = state === gateway.results.state;
        client.reply(
          resultsReply(
            topic,
            1,
            state === undefined ? { reset: true } : isCurrent ? gateway.results.completed(view) : {},
          ),
        );
        return new ResultsSubscription({ eventId, topic, recipient: client, view, state });
      };
      let subscription = subscribe();
      for (const next of steps) {
        nowMs += 500;
        if ('table' in next) {
          at.write(
            next.table,
            next.changes.map(([key, columns]) => [key, columns && { key, ...columns }]),
          );
        } else if ('missed' in next) gateway.follow(next.missed);
        else if ('framesUntilLagging' in next) client.framesUntilLagging = next.framesUntilLagging;
        else if ('restoredAt' in next) {
          at.restore(next.restoredAt);
          // Longer than the interval at which gateways compare revisions.
          gateway.follow(0);
        } else if ('view' in next) {
          view = next.view;
          subscription.setView(view);
        } else {
          if (next.reconnect === 'new') gateway = new ModelGateway(at);
          subscription = subscribe();
        }
        subscription.flush(gateway.results, nowMs);
      }
      gateway.follow(0);
      client.framesUntilLagging = Infinity;
      expect(subscription.flush(gateway.results, nowMs)).toBe(true);
      expect(client.isComplete).toBe(true);
      expect(shownRows(client.held, 'full')).toEqual(shownRows(at.rows, view));
    }),
    { numRuns: 300 },
  );
});

test('a client is resumed from a revision that this gateway knows from the stream only, without a snapshot', () => {
  const at = new ModelTables();
  const write = (key: string): void => at.write('passings', [[key, { key, verdict: 'counted' }]]);
  write('a');
  const before = new ModelGateway(at).results.completed('full').cursor;
  write('b');
  write('c');
  const { results } = new ModelGateway(at);
  const state = results.stateAt(before, 'full');
  expect(state).toBeDefined();
  const { frames } = results.changesSince(state ?? 0, 'full');
  const messages = frames.map((frame) => JSON.parse(Buffer.from(frame).toString()));
  expect(messages).toMatchObject([{ set: { passings: [{ key: 'b' }, { key: 'c' }] }, revision: 4 }]);
  // A cursor of another view, or of a revision that was restored over, is not resumed.
  expect(results.stateAt(before, 'public')).toBeUndefined();
  expect(results.stateAt('2.77.full', 'full')).toBeUndefined();
  expect(results.stateAt('', 'full')).toBeUndefined();
});

test('who does not see incidents is sent no row when an SOS begins, and no count of missed waypoints', () => {
  const at = new ModelTables();
  const state = { key: 'a', tracker_state: 'moving', tracker_state_since: 1 };
  at.write('vehicle_states', [['a', { ...state, state: 'moving', since: 1 }]]);
  const gateway = new ModelGateway(at);
  const before = gateway.results.state;
  const { cursor } = gateway.results.completed('public');
  at.write('vehicle_states', [['a', { ...state, state: 'sos', since: 2 }]]);
  at.write('stage_results', [['b', { key: 'b', missed_waypoints: 1, status: 'on_stage' }]]);
  gateway.follow(0);
  const sent = (view: ResultsView) =>
    gateway.results
      .changesSince(before, view)
      .frames.map((frame) => JSON.parse(Buffer.from(frame).toString()).set);
  expect(sent('public')).toEqual([{ stage_results: [{ key: 'b', status: 'on_stage' }] }]);
  expect(sent('full')).toMatchObject([
    { vehicle_states: [{ state: 'sos' }], stage_results: [{ missed_waypoints: 1 }] },
  ]);
  // A gateway that knows changes from the stream only sends the states of all vehicles.
  at.write('vehicle_states', [['c', { ...state, key: 'c', state: 'moving', since: 1 }]]);
  const later = new ModelGateway(at).results;
  const { frames } = later.changesSince(later.stateAt(cursor, 'public') ?? 0, 'public');
  expect(JSON.parse(Buffer.from(frames[0] ?? '').toString()).set.vehicle_states).toHaveLength(2);
});

test('frames are encoded once for all clients of a view', () => {
  const at = new ModelTables();
  const gateway = new ModelGateway(at);
  const { state } = gateway.results;
  at.write('passings', [['a', { key: 'a', verdict: 'counted' }]]);
  gateway.follow(0);
  expect(gateway.results.changesSince(state, 'full')).toBe(gateway.results.changesSince(state, 'full'));
  expect(gateway.results.snapshot('public', 0)).toBe(gateway.results.snapshot('public', 1000));
});

test('clients that are more than 1,000 revisions behind get a snapshot, and what is gone is forgotten', () => {
  const at = new ModelTables();
  const gateway = new ModelGateway(at);
  const client = new ModelClient(at);
  const subscription = new ResultsSubscription({
    eventId,
    topic,
    recipient: client,
    view: 'full',
    state: undefined,
  });
  client.framesUntilLagging = 1;
  subscription.flush(gateway.results, 0);
  for (let n = 0; n < 1100; n += 1) {
    at.write('passings', [
      [String(n), { key: String(n), verdict: 'counted' }],
      [String(n - 1), undefined],
    ]);
    gateway.follow(0);
  }
  client.framesUntilLagging = Infinity;
  subscription.flush(gateway.results, 0);
  expect([...(client.held.get('passings')?.keys() ?? [])]).toEqual(['1099']);
});

test.for(['follows', 'missed a revision'] as const)(
  'who does not see incidents is sent passings that count only, and that one does no longer: %s',
  (client) => {
    const at = new ModelTables();
    const gateway = new ModelGateway(at);
    const recipient = new ModelClient(at);
    recipient.reply(resultsReply(topic, 1, { reset: true }));
    const subscription = new ResultsSubscription({
      eventId,
      topic,
      recipient,
      view: 'public',
      state: undefined,
    });
    const write = (key: string, verdict: string): void => {
      at.write('passings', [[key, { key, verdict }]]);
      gateway.follow(0);
    };
    write('a', 'counted');
    write('b', 'wrong_direction');
    subscription.flush(gateway.results, 0);
    expect([...(recipient.held.get('passings')?.keys() ?? [])]).toEqual(['a']);
    write('a', 'suppressed');
    if (client === 'missed a revision') write('c', 'counted');
    subscription.flush(gateway.results, 500);
    expect([...(recipient.held.get('passings')?.keys() ?? [])]).toEqual(client === 'follows' ? [] : ['c']);
  },
);
