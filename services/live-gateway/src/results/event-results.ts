import type { ResultRow } from '@app/shared/messages';
import { resultsTopic } from '@app/shared/topics';
import { encodeResults, type CompletedRevision } from './encode-results.ts';
import {
  isTableShown,
  shownRow,
  type ResultsView,
  type RowsByKey,
  type TableChanges,
} from './result-rows.ts';

/** Number and time (epoch microseconds) of a write of results: together they identify what the tables hold. */
export interface Revision {
  readonly revision: number;
  readonly revisedAtUs: string;
}

/** All results of an event at a revision, by table. */
export interface ResultsSnapshot {
  readonly revision: Revision;
  readonly rows: ReadonlyMap<string, RowsByKey>;
}

/** A revision with what changed since the one before; undefined if only the tables say that. */
export interface Announcement {
  readonly revision: Revision;
  readonly changes: readonly TableChanges[] | undefined;
}

/** Frames that bring a client to a state. */
export interface FramesTo {
  readonly state: number;
  readonly frames: readonly Uint8Array[];
}

interface HeldRow {
  readonly row: ResultRow;
  /** By view: a row that is sent again without a visible change would tell that a hidden column has changed. */
  readonly changedAt: Readonly<Record<ResultsView, number>>;
}

interface RowChange {
  readonly table: string;
  readonly key: string;
  /** Undefined if it is new. */
  readonly before: ResultRow | undefined;
  /** Undefined if it is gone. */
  readonly after: ResultRow | undefined;
}

/** States that clients can be brought forward from: minutes of a busy event. */
const maxStates = 1000;
/** How long the frames of a snapshot are used again, followed by what changed since: bounds how many exist for slow clients. */
const snapshotReuseMs = 2000;

/**
 * The results of one event, and the frames that bring clients from any recent state to the newest.
 *
 * States are numbered here, since numbers of revisions come again after a restore. Each row knows the state in which it
 * last changed, so what a client missed is read from the rows as they are now: nothing is kept for a client that lags.
 */
export class EventResults {
  readonly #topic: string;
  readonly #held = new Map<string, Map<string, HeldRow>>();
  /** Rows that are gone, oldest first. */
  readonly #removed = new Map<
    string,
    { readonly table: string; readonly key: string; readonly at: number }
  >();
  /** Oldest first. */
  readonly #states = new Map<string, number>();
  #revision: Revision;
  #state = 0;
  /** What the newest state changed; undefined for the first one. */
  #lastChanges: readonly RowChange[] | undefined;
  #changesFrames = new Map<string, FramesTo>();
  readonly #snapshots = new Map<ResultsView, FramesTo & { readonly encodedAtMs: number }>();

  /** @param history announcements up to the snapshot's or beyond, oldest first: clients can resume from them */
  constructor(eventId: string, snapshot: ResultsSnapshot, history: readonly Announcement[]) {
    this.#topic = resultsTopic(eventId);
    this.#revision = snapshot.revision;
    for (const [table, rows] of snapshot.rows) {
      // History does not say which columns of vehicle states changed: to the public all of them are sent again.
      const changedAt = { full: -Infinity, public: table === 'vehicle_states' ? 0 : -Infinity };
      this.#held.set(table, new Map([...rows].map(([key, row]) => [key, { row, changedAt }])));
    }
    this.#applyHistory(history);
    this.#states.set(idOf(snapshot.revision), 0);
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** Number of the newest state. */
  get state(): number {
    return this.#state;
  }

  /** What the last frame to the newest state says. */
  completed(view: ResultsView): CompletedRevision {
    return { revision: this.#revision.revision, cursor: `${idOf(this.#revision)}.${view}` };
  }

  isAt(revision: Revision): boolean {
    return idOf(revision) === idOf(this.#revision);
  }

  /**
   * Applies announcements, oldest first, as far as each is the next revision.
   *
   * @returns false if the tables must be read: one has no changes, some were missed, or they are of other results with the
   * same numbers, after a restore
   */
  follow(announcements: readonly Announcement[]): boolean {
    return announcements.every(({ revision, changes }) => {
      // Announced again.
      if (this.#states.has(idOf(revision))) return true;
      if (revision.revision !== this.#revision.revision + 1 || changes === undefined) return false;
      this.#apply(revision, changes);
      return true;
    });
  }

  /** The next revision, by what changed. */
  #apply(revision: Revision, changes: readonly TableChanges[]): void {
    this.#advance(
      revision,
      changes.flatMap(({ table, set, removed }) => [
        ...[...set].map(([key, after]) => this.#changeOf(table, key, after)),
        ...removed.map((key) => this.#changeOf(table, key, undefined)),
      ]),
    );
  }

  /** Any other revision, by all of its rows. */
  replace({ revision, rows }: ResultsSnapshot): void {
    const changes: RowChange[] = [];
    for (const [table, held] of this.#held) {
      const next = rows.get(table);
      for (const key of held.keys()) {
        if (next?.has(key) !== true) changes.push(this.#changeOf(table, key, undefined));
      }
    }
    for (const [table, next] of rows) {
      for (const [key, after] of next) changes.push(this.#changeOf(table, key, after));
    }
    this.#advance(revision, changes);
  }

  /** The state that a client with this cursor holds; undefined if it cannot be resumed. */
  stateAt(cursor: string, view: ResultsView): number | undefined {
    const [revision, revisedAtUs, ofView] = cursor.split('.');
    return ofView === view ? this.#states.get(`${revision}.${revisedAtUs}`) : undefined;
  }

  /** Whether the cursor is of a later revision than this one. */
  isBehind(cursor: string): boolean {
    return Number(cursor.split('.', 1)[0]) > this.#revision.revision;
  }

  /** Whether clients can be brought forward from this state. */
  reaches(state: number): boolean {
    const [oldest = 0] = this.#states.values();
    return state >= oldest;
  }

  /** Frames from an earlier state to the newest. The same for all clients of a view. */
  changesSince(state: number, view: ResultsView): FramesTo {
    const id = `${state} ${view}`;
    let frames = this.#changesFrames.get(id);
    if (frames === undefined) {
      const changes = state === this.#state - 1 ? this.#lastChanges : undefined;
      frames = this.#encode(view, changes ?? this.#rowsSince(state, view), changes === undefined);
      this.#changesFrames.set(id, frames);
    }
    return frames;
  }

  /** Frames for a client that holds nothing, of the newest state or of one shortly before. The same for all of a view. */
  snapshot(view: ResultsView, nowMs: number): FramesTo {
    const known = this.#snapshots.get(view);
    const isFresh = known !== undefined && nowMs - known.encodedAtMs < snapshotReuseMs;
    if (known?.state === this.#state || (isFresh && this.reaches(known.state))) return known;
    const rows = [...this.#held].flatMap(([table, held]) =>
      [...held].map(([key, { row }]) => ({ table, key, before: undefined, after: row })),
    );
    const snapshot = { ...this.#encode(view, rows, false), encodedAtMs: nowMs };
    this.#snapshots.set(view, snapshot);
    return snapshot;
  }

  #changeOf(table: string, key: string, after: ResultRow | undefined): RowChange {
    return { table, key, before: this.#held.get(table)?.get(key)?.row, after };
  }

  #advance(revision: Revision, changes: readonly RowChange[]): void {
    const actual = changes.filter(isChange);
    if (actual.length === 0 && this.isAt(revision)) return;
    this.#state += 1;
    this.#revision = revision;
    for (const { table, key, before, after } of actual) {
      const id = `${table} ${key}`;
      this.#removed.delete(id);
      let held = this.#held.get(table);
      if (held === undefined) this.#held.set(table, (held = new Map()));
      if (after !== undefined) {
        const known = held.get(key)?.changedAt.public ?? this.#state;
        const isShown = before === undefined || isShownChange(table, before, after);
        held.set(key, {
          row: after,
          changedAt: { full: this.#state, public: isShown ? this.#state : known },
        });
        continue;
      }
      held.delete(key);
      this.#removed.set(id, { table, key, at: this.#state });
    }
    this.#lastChanges = actual;
    this.#changesFrames = new Map();
    const id = idOf(revision);
    this.#states.delete(id);
    this.#states.set(id, this.#state);
    this.#forgetOldStates();
  }

  #forgetOldStates(): void {
    for (const id of this.#states.keys()) {
      if (this.#states.size <= maxStates) break;
      this.#states.delete(id);
    }
    for (const [id, { at }] of this.#removed) {
      if (this.reaches(at - 1)) break;
      this.#removed.delete(id);
    }
  }

  #applyHistory(history: readonly Announcement[]): void {
    const end = history.findLastIndex(({ revision }) => this.isAt(revision));
    let from = end;
    while (from > 0 && history[from]?.changes !== undefined && isNext(history[from - 1], history[from]))
      from -= 1;
    // The state of the snapshot is 0, and those before it are negative.
    for (let at = from; at >= 0 && at <= end; at += 1) {
      const announcement = history[at];
      if (announcement === undefined) return;
      this.#states.set(idOf(announcement.revision), at - end);
      if (at === from) continue;
      for (const { table, set, removed } of announcement.changes ?? []) {
        const held = this.#held.get(table);
        for (const key of set.keys()) {
          const known = held?.get(key);
          if (known === undefined) continue;
          const changedAt = { full: at - end, public: Math.max(at - end, known.changedAt.public) };
          held?.set(key, { row: known.row, changedAt });
        }
        for (const key of removed.filter((gone) => held?.has(gone) !== true)) {
          this.#removed.delete(`${table} ${key}`);
          this.#removed.set(`${table} ${key}`, { table, key, at: at - end });
        }
      }
    }
  }

  /** As if the client held none of them: it holds some, perhaps with values in columns that are unknown now. */
  #rowsSince(state: number, view: ResultsView): readonly RowChange[] {
    const changed = [...this.#held].flatMap(([table, held]) =>
      [...held]
        .filter(([, { changedAt }]) => changedAt[view] > state)
        .map(([key, { row }]) => ({ table, key, before: undefined, after: row })),
    );
    const removed = [...this.#removed.values()]
      .filter(({ at }) => at > state)
      .map(({ table, key }) => ({ table, key, before: undefined, after: undefined }));
    return [...changed, ...removed];
  }

  #encode(view: ResultsView, changes: readonly RowChange[], withUnknown: boolean): FramesTo {
    const set = new Map<string, string[]>();
    const removed = new Map<string, string[]>();
    for (const { table, key, before, after } of changes) {
      const shown = after && shownRow(table, after, view);
      const shownBefore = before && shownRow(table, before, view);
      if (shown !== undefined) {
        const columns = changedColumns(shownBefore, shown, withUnknown);
        if (columns !== undefined) addTo(set, table, JSON.stringify(columns));
      } else if (isTableShown(table, view)) {
        const isHeld = after === undefined || withUnknown || shownBefore !== undefined;
        if (isHeld) addTo(removed, table, JSON.stringify(key));
      }
    }
    return { state: this.#state, frames: encodeResults(this.#topic, { set, removed }, this.completed(view)) };
  }
}

function addTo(tables: Map<string, string[]>, table: string, item: string): void {
  const items = tables.get(table);
  if (items === undefined) tables.set(table, [item]);
  else items.push(item);
}

function idOf({ revision, revisedAtUs }: Revision): string {
  return `${revision}.${revisedAtUs}`;
}

function isNext(before: Announcement | undefined, next: Announcement | undefined): boolean {
  return before !== undefined && next?.revision.revision === before.revision.revision + 1;
}

function isChange({ before, after }: RowChange): boolean {
  if (before === undefined || after === undefined) return before !== after;
  return Object.entries(after).some(([name, value]) => value !== before[name]);
}

function isShownChange(table: string, before: ResultRow, after: ResultRow): boolean {
  return isChange({
    table,
    key: '',
    before: shownRow(table, before, 'public'),
    after: shownRow(table, after, 'public'),
  });
}

/** The key and the columns that differ, undefined if none do; of a new row all, without unknown ones unless `withUnknown`. */
function changedColumns(
  before: ResultRow | undefined,
  after: ResultRow,
  withUnknown: boolean,
): ResultRow | undefined {
  const columns = Object.entries(after).filter(([name, value]) =>
    before === undefined ? withUnknown || value !== null : name === 'key' || value !== before[name],
  );
  // Not for this view.
  if (before !== undefined && columns.length === 1) return undefined;
  return Object.fromEntries(columns);
}
