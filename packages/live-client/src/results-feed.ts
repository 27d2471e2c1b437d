import type { ResultRow } from '@app/shared/messages';
import type { ResultsChange } from './results-topic.ts';

/** What a reader has not read of one topic: by table and key, undefined for a row that is gone. */
interface Unread {
  readonly tables: Map<string, Map<string, ResultRow | undefined>>;
  revision: number | undefined;
}

/** Unread changes of results of one reader: at most the newest content of each row, so that memory is bounded. */
export class ResultsFeed {
  readonly #unread = new Map<string, Unread>();
  #hasEnded = false;
  #wake: (() => void) | undefined;

  add({ topic, set, removed, revision }: ResultsChange): void {
    const unread = this.#unread.get(topic) ?? { tables: new Map(), revision: undefined };
    this.#unread.set(topic, unread);
    unread.revision = revision;
    const rowsOf = (table: string) => {
      const rows = unread.tables.get(table) ?? new Map<string, ResultRow | undefined>();
      unread.tables.set(table, rows);
      return rows;
    };
    for (const [table, keys] of Object.entries(removed)) {
      for (const key of keys) rowsOf(table).set(key, undefined);
    }
    for (const [table, rows] of Object.entries(set)) {
      for (const row of rows) rowsOf(table).set(String(row['key']), row);
    }
    this.#wake?.();
  }

  /** Unread changes can still be read. */
  end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  /** Waits for a change; undefined after the last. Must not be called concurrently. */
  async next(): Promise<ResultsChange | undefined> {
    for (;;) {
      for (const [topic, { tables, revision }] of this.#unread) {
        this.#unread.delete(topic);
        const set: Record<string, readonly ResultRow[]> = {};
        const removed: Record<string, readonly string[]> = {};
        for (const [table, rows] of tables) {
          set[table] = [...rows.values()].filter((row) => row !== undefined);
          removed[table] = [...rows].flatMap(([key, row]) => (row === undefined ? key : []));
        }
        return { topic, set, removed, revision };
      }
      if (this.#hasEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
