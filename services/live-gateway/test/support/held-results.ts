import type { ResultRow, ServerMessage } from '@app/shared/messages';
import { eventually } from '@app/test-kit/eventually';
import type { Viewer } from './viewer.ts';

/** What a client holds of a topic of results after everything that it was sent. */
export interface HeldResults {
  readonly rows: Readonly<Record<string, readonly ResultRow[]>>;
  readonly revision: number | undefined;
  readonly cursor: string | undefined;
  readonly resets: number;
}

export function heldResults({ messages }: Viewer<ServerMessage>, topic: string): HeldResults {
  let tables = new Map<string, Map<string, ResultRow>>();
  let revision: number | undefined;
  let cursor: string | undefined;
  let resets = 0;
  for (const message of messages) {
    if (message.type !== 'results' || message.topic !== topic) continue;
    if (message.reset === true) {
      tables = new Map();
      resets += 1;
    }
    for (const [table, rows] of Object.entries(message.set ?? {})) {
      const held = tables.get(table) ?? new Map<string, ResultRow>();
      tables.set(table, held);
      for (const row of rows) held.set(String(row['key']), { ...held.get(String(row['key'])), ...row });
    }
    for (const [table, keys] of Object.entries(message.removed ?? {})) {
      for (const key of keys) tables.get(table)?.delete(key);
    }
    revision = message.revision;
    cursor = message.cursor ?? cursor;
  }
  const rows = [...tables].map(([table, held]) => [table, [...held.values()]] as const);
  return { rows: Object.fromEntries(rows.filter(([, held]) => held.length > 0)), revision, cursor, resets };
}

/** Waits until the client holds this revision completely. */
export async function untilRevision(
  viewer: Viewer<ServerMessage>,
  topic: string,
  revision: number,
): Promise<HeldResults> {
  return eventually(
    () => {
      const held = heldResults(viewer, topic);
      if (held.revision !== revision) {
        const last = JSON.stringify(viewer.messages.slice(-3)).slice(0, 500);
        throw new Error(`revision ${held.revision} instead of ${revision}; last received: ${last}`);
      }
      return held;
    },
    { timeoutMs: 20_000 },
  );
}
