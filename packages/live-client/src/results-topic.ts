import type { ResultRow } from '@app/shared/messages';
import { asObject, asString, asStrings, type ServerMessage } from './server-message.ts';
import { TopicState } from './topic-state.ts';

/** Rows by key, by table. */
export type ResultTables = ReadonlyMap<string, ReadonlyMap<string, ResultRow>>;

/** Changes in the results of an event. */
export interface ResultsChange {
  readonly topic: string;
  /** By table, rows that are new or have changed, with all their columns. */
  readonly set: Readonly<Record<string, readonly ResultRow[]>>;
  /** By table, keys of rows that are gone. */
  readonly removed: Readonly<Record<string, readonly string[]>>;
  /** What is held is complete as of this revision; undefined while parts of one are missing. */
  readonly revision: number | undefined;
}

/** The results of one event and the state of their subscription. */
export class ResultsTopic extends TopicState {
  readonly #tables = new Map<string, Map<string, ResultRow>>();
  #cursor: string | undefined;
  #revision: number | undefined;

  get tables(): ResultTables {
    return this.#tables;
  }

  /** Everything that is held, as a change. */
  get held(): ResultsChange {
    const set = Object.fromEntries([...this.#tables].map(([table, rows]) => [table, [...rows.values()]]));
    return { topic: this.name, set, removed: {}, revision: this.#revision };
  }

  /** Where to resume after a connection is lost. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Applies a `results` message. */
  apply(message: ServerMessage): ResultsChange {
    const isReset = message.reset === true;
    const set: Record<string, ResultRow[]> = {};
    const removed = isReset ? this.#clear() : {};
    for (const [table, keys] of Object.entries(asObject(message.removed) ?? {})) {
      const held = this.#tables.get(table);
      (removed[table] ??= []).push(...asStrings(keys).filter((key) => held?.delete(key)));
    }
    for (const [table, rows] of Object.entries(asObject(message.set) ?? {})) {
      const held = this.#tables.get(table) ?? new Map<string, ResultRow>();
      this.#tables.set(table, held);
      const merged = asRows(rows).map((row) => Object.assign({}, held.get(String(row['key'])), row));
      for (const row of merged) held.set(String(row['key']), row);
      set[table] = merged;
      removed[table] = (removed[table] ?? []).filter((key) => !held.has(key));
    }
    const cursor = asString(message.cursor);
    // A revision that is incomplete is resumed from the one before it, but not one that began with a reset.
    if (isReset || cursor !== undefined) this.#cursor = cursor;
    this.#revision = typeof message.revision === 'number' ? message.revision : undefined;
    return { topic: this.name, set, removed, revision: this.#revision };
  }

  /** Forgets everything, for a topic that the user may no longer see. */
  forget(): ResultsChange {
    this.#cursor = undefined;
    this.#revision = undefined;
    return { topic: this.name, set: {}, removed: this.#clear(), revision: undefined };
  }

  #clear(): Record<string, string[]> {
    const removed = [...this.#tables].map(([table, rows]) => [table, [...rows.keys()]]);
    this.#tables.clear();
    return Object.fromEntries(removed);
  }
}

function asRows(rows: unknown): readonly ResultRow[] {
  return Array.isArray(rows) ? rows.filter((row) => typeof asObject(row)?.key === 'string') : [];
}
