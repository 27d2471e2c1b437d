// The raw limit: the same rows, already in memory, in the processor's own statement, with its concurrency.
import { decodeEntries, type Fix } from '@app/processor/pipeline/decode-entries';
import { insertPositions } from '@app/processor/store/insert-positions';
import { sortByKey } from '@app/processor/store/duplicate-keys';
import postgres from 'postgres';
import { z } from 'zod';
import { type InsertStatement, type InsertStatementName, insertStatements } from '../inserts/statements.ts';
import { backlogFields, type BacklogOptions } from './backlog.ts';

export interface RawLimitOptions extends BacklogOptions {
  readonly postgresUrl: string;
  readonly batchSize: number;
  readonly concurrency: number;
  /** The processor's own, unless given. */
  readonly statement?: InsertStatementName;
}

/** What the program says in its one line. */
export const rawLimit = z.object({ positionsPerS: z.number(), cpuUsPerPosition: z.number() });

// So many batches are made ready and then inserted: all of them at once would measure the garbage collector, and few
// the moments in which one insert is left and not all are under way.
const batchesInRound = 100;

/**
 * Only the inserts are timed, not the making of the rows. Entries are what is counted, those too that repeat the one
 * before and make no row: a batch of the raw loop stands for as many of them as one of the processor's.
 */
async function measureRawLimit(options: RawLimitOptions): Promise<z.output<typeof rawLimit>> {
  const { postgresUrl, batchSize, concurrency, entries, statement } = options;
  const insert: InsertStatement = statement === undefined ? insertPositions : insertStatements[statement];
  // With the types that arrays need when the driver encodes them; the processor asks for none.
  const sql = postgres(postgresUrl, { max: concurrency, onnotice: () => undefined });
  try {
    // Long enough for each to be on a connection of its own: opening them is not what is measured.
    await Promise.all(Array.from({ length: concurrency }, () => sql`select pg_sleep(0.1)`));
    let insertingMs = 0;
    let cpuUs = 0;
    for (const round of rounds(options, batchSize)) {
      const startedAtMs = performance.now();
      const cpuAtStart = process.cpuUsage();
      const queue = round.values();
      await Promise.all(
        Array.from({ length: concurrency }, async () => {
          for (const batch of queue) await insert(sql, batch);
        }),
      );
      insertingMs += performance.now() - startedAtMs;
      const { user, system } = process.cpuUsage(cpuAtStart);
      cpuUs += user + system;
    }
    return { positionsPerS: entries / (insertingMs / 1000), cpuUsPerPosition: cpuUs / entries };
  } finally {
    await sql.end();
  }
}

function* rounds(options: BacklogOptions, batchSize: number): Generator<(readonly Fix[])[]> {
  let round: (readonly Fix[])[] = [];
  let entries = [];
  let number = 0;
  for (const fields of backlogFields(options)) {
    number += 1;
    const bytes = fields.map((field) => Buffer.from(field));
    entries.push({ id: `${Date.UTC(2026, 5, 2)}-${number}`, fields: bytes, deliveries: 1 });
    if (entries.length < batchSize && number < options.entries) continue;
    const { fixes } = decodeEntries(entries, { flagMs: Infinity, limitMs: Infinity });
    round.push(sortByKey(fixes).unique);
    entries = [];
    if (round.length < batchesInRound && number < options.entries) continue;
    yield round;
    round = [];
  }
}

if (import.meta.main) {
  const options: RawLimitOptions = JSON.parse(process.env['RAW_LIMIT'] ?? '');
  process.stdout.write(`${JSON.stringify({ raw: await measureRawLimit(options) })}\n`);
}
