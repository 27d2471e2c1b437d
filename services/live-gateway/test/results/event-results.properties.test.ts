import { batchedServerMessage, type ResultRow } from '@app/shared/messages';
import { maxChunkBytes } from '@app/shared/protocol';
import { resultsTopic } from '@app/shared/topics';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventResults, type Announcement, type ResultsSnapshot } from '../../src/results/event-results.ts';
import { resultsReply } from '../../src/results/encode-results.ts';
import { isShown, type ResultsView } from '../../src/results/result-rows.ts';
import { ResultsSubscription } from '../../src/results/results-subscription.ts';
import type { Frame } from '../../src/subscriptions/subscription.ts';

const eventId = '0190c5de-7a5b-7000-8000-0123456789ab';
const topic = resultsTopic(eventId);
const tables = ['passings', 'stage_results', 'incidents'];

type Rows = Map<string, Map<string, ResultRow>>;

const emptyRows = (): Rows => new Map(tables.map((table) => [table, new Map()]));
const copyRows = (rows: Rows): Rows => new Map([...rows].map(([table, held]) => [table, new Map(held)]));

/** The tables: what they hold at each revision, and what was announced. */
class Tables {
  rows = emptyRows();
  revision = 0;
  #writes = 0;
  readonly announcements: Announcement[] = [];
  /** By revision and time, and what they held. */
  readonly history: { readonly snapshot: ResultsSnapshot }[] = [];

  constructor() {
    this.#note();
  }

  get snapshot(): ResultsSnapshot {
    const { snapshot } = this.history.at(-1) ?? {};
    if (snapshot === undefined) throw new Error('nothing written');
    return snapshot;
  }

  write(table: string, changes: readonly (readonly [key: string, row: ResultRow | undefined])[]): void {
    const held = this.rows.get(table) ?? new Map<string, ResultRow>();
    const last = new Map(changes);
    const set = new Map<string, ResultRow>();
    const removed: string[] = [];
    for (const [key, row] of last) {
      if (row !== undefined) {
        held.set(key, row);
        set.set(key, row);
      } else if (held.delete(key)) removed.push(key);
    }
    this.#note();
    const { revision } = this.snapshot;
    this.announcements.push({ revision, changes: [{ table, set, removed }] });
  }

  /** A backup is restored: its revision number comes again. */
  restore(at: number): void {
    const { snapshot } = this.history[at % this.history.length] ?? {};
    if (snapshot === undefined) return;
    this.rows = emptyRows();
    for (const [table, rows] of snapshot.rows) this.rows.set(table, new Map(rows));
    this.revision = snapshot.revision.revision;
    this.history.push({ snapshot });
  }

  /** What clients of the view may hold at the revision of a cursor. */
  heldAt(cursor: string): Rows {
    const [revision, us, view] = cursor.split('.');
    const at = this.history.findLast(
      ({ snapshot }) =>
        `${revision}.${us}` === `${snapshot.revision.revision}.${snapshot.revision.revisedAtUs}`,
    );
    if (at === undefined) throw new Error(`no revision ${cursor}`);
    return shownRows(at.snapshot.rows, view === 'full' ? 'full' : 'public');
  }

  #note(): void {
    this.#writes += 1;
    this.revision += 1;
    const revision = { revision: this.revision, revisedAtUs: String(this.#writes) };
    this.history.push({ snapshot: { revision, rows: copyRows(this.rows) } });
  }
}

/** Without what is unknown, which clients may or may not be told. */
function shownRows(rows: ResultsSnapshot['rows'], view: ResultsView): Rows {
  return new Map(
    [...rows]
      .filter(([table, held]) => isShown(table, view) && held.size > 0)
      .map(([table, held]) => [table, new Map([...held].map(([key, row]) => [key, withoutUnknown(row)]))]),
  );
}

function withoutUnknown(row: ResultRow): ResultRow {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}

/** A client that does what docs/protocol.md says, and checks what it holds whenever that is complete. */
class Client {
  held: Rows = new Map();
  cursor: string | undefined;
  framesUntilLagging = Infinity;
  isComplete = false;
  readonly #tables: Tables;

  constructor(from: Tables) {
    this.#tables = from;
  }

  reply(frame: string): void {
    this.#receive(frame);
  }

  isWritable(): boolean {
    return this.framesUntilLagging > 0;
  }

  writeFrames(frames: readonly Frame[]): number {
    let written = 0;
    for (const frame of frames) {
      if (this.framesUntilLagging === 0) break;
      this.framesUntilLagging -= 1;
      expect(Buffer.byteLength(frame)).toBeLessThan(maxChunkBytes);
      this.#receive(frame.toString());
      written += 1;
    }
    return written;
  }

  fail(_: string, error: unknown): void {
    throw error;
  }

  #receive(frame: string): void {
    const message = batchedServerMessage.parse(JSON.parse(Buffer.from(frame).toString()));
    if (message.type !== 'results') throw new Error(`unexpected ${message.type}`);
    if (message.reset === true) {
      this.held = new Map();
      this.cursor = undefined;
    }
    for (const [table, rows] of Object.entries(message.set ?? {})) {
      const held = this.held.get(table) ?? new Map<string, ResultRow>();
      this.held.set(table, held);
      for (const row of rows) held.set(String(row['key']), { ...held.get(String(row['key'])), ...row });
    }
    for (const [table, keys] of Object.entries(message.removed ?? {})) {
      for (const key of keys) this.held.get(table)?.delete(key);
    }
    this.isComplete = message.revision !== undefined;
    if (message.cursor === undefined) return;
    this.cursor = message.cursor;
    expect(shownRows(this.held, 'full')).toEqual(this.#tables.heldAt(message.cursor));
  }
}

/** A gateway that applies announcements, and reads the tables where it has missed one. */
class Gateway {
  readonly #tables: Tables;
  readonly results: EventResults;
  #applied: number;

  constructor(from: Tables) {
    this.#tables = from;
    this.results = new EventResults(eventId, from.snapshot, from.announcements.slice(-8));
    this.#applied = from.announcements.length;
  }

  /** @param missed announcements that are lost */
  follow(missed: number): void {
    const { announcements } = this.#tables;
    this.results.follow(announcements.slice(this.#applied + missed));
    this.#applied = announcements.length;
    if (!this.results.isAt(this.#tables.snapshot.revision)) this.results.replace(this.#tables.snapshot);
  }
}

const row = fc.record({
  status: fc.constantFrom('on_stage', 'finished', null),
  progress_m: fc.option(fc.integer({ min: 0, max: 5 })),
  // Some rows fill a frame.
  note: fc.constantFrom('', 'x'.repeat(9000)),
});
const change = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.option(row, { nil: undefined }));
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ table: fc.constantFrom(...tables), changes: fc.array(change) }) },
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
      const at = new Tables();
      let gateway = new Gateway(at);
      const client = new Client(at);
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
          if (next.reconnect === 'new') gateway = new Gateway(at);
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
  const at = new Tables();
  const write = (key: string): void => at.write('passings', [[key, { key, verdict: 'counted' }]]);
  write('a');
  const before = new Gateway(at).results.completed('full').cursor;
  write('b');
  write('c');
  const { results } = new Gateway(at);
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

test('frames are encoded once for all clients of a view', () => {
  const at = new Tables();
  const gateway = new Gateway(at);
  const { state } = gateway.results;
  at.write('passings', [['a', { key: 'a', verdict: 'counted' }]]);
  gateway.follow(0);
  expect(gateway.results.changesSince(state, 'full')).toBe(gateway.results.changesSince(state, 'full'));
  expect(gateway.results.snapshot('public', 0)).toBe(gateway.results.snapshot('public', 1000));
});

test('clients that are more than 1,000 revisions behind get a snapshot, and what is gone is forgotten', () => {
  const at = new Tables();
  const gateway = new Gateway(at);
  const client = new Client(at);
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
