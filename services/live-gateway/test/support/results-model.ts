import { deepEqual, ok } from 'node:assert/strict';
import { batchedServerMessage, type ResultRow } from '@app/shared/messages';
import { maxChunkBytes } from '@app/shared/protocol';
import { resultsTopic } from '@app/shared/topics';
import { EventResults, type Announcement, type ResultsSnapshot } from '../../src/results/event-results.ts';
import { isTableShown, shownRow, type ResultsView } from '../../src/results/result-rows.ts';
import type { Frame } from '../../src/subscriptions/subscription.ts';

export const eventId = '0190c5de-7a5b-7000-8000-0123456789ab';
export const topic = resultsTopic(eventId);
export const tableNames = ['passings', 'vehicle_states', 'incidents'];

type Rows = Map<string, Map<string, ResultRow>>;

const emptyRows = (): Rows => new Map(tableNames.map((table) => [table, new Map()]));
const copyRows = (rows: Rows): Rows => new Map([...rows].map(([table, held]) => [table, new Map(held)]));

/** The tables: what they hold at each revision, and what was announced. */
export class ModelTables {
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
export function shownRows(rows: ResultsSnapshot['rows'], view: ResultsView): Rows {
  const shown = [...rows]
    .filter(([table]) => isTableShown(table, view))
    .map(([table, held]) => {
      const visible = [...held].flatMap(([key, row]) => {
        const of = shownRow(table, row, view);
        return of ? [[key, withoutUnknown(of)] as const] : [];
      });
      return [table, new Map(visible)] as const;
    });
  return new Map(shown.filter(([, held]) => held.size > 0));
}

function withoutUnknown(row: ResultRow): ResultRow {
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
}

/** A client that does what docs/protocol.md says, and checks what it holds whenever that is complete. */
export class ModelClient {
  held: Rows = new Map();
  cursor: string | undefined;
  framesUntilLagging = Infinity;
  isComplete = false;
  readonly #tables: ModelTables;

  constructor(from: ModelTables) {
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
      ok(Buffer.byteLength(frame) < maxChunkBytes);
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
    deepEqual(shownRows(this.held, 'full'), this.#tables.heldAt(message.cursor));
  }
}

/** A gateway that applies announcements, and reads the tables where it has missed one. */
export class ModelGateway {
  readonly #tables: ModelTables;
  readonly results: EventResults;
  #applied: number;

  constructor(from: ModelTables) {
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
