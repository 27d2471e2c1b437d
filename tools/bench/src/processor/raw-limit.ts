// The raw limit: the same rows, already in memory, inserted with the processor's statement and concurrency.
import type { Fix } from '@app/processor/fix';
import { decodeEntries } from '@app/processor/pipeline/decode-entries';
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
  /** Default: the processor's. */
  readonly statement?: InsertStatementName;
}

/** The line that the program prints. */
export const rawLimit = z.object({ positionsPerS: z.number(), nodeUs: z.number(), peakRssBytes: z.number() });

// Batches prepared at once: more would measure the garbage collector, fewer the end of a round, when not all inserts run.
const batchesInRound = 100;

/** Times only the inserts. Counts entries, including those that repeat the one before and add no row. */
async function measureRawLimit(options: RawLimitOptions): Promise<z.output<typeof rawLimit>> {
  const { postgresUrl, batchSize, concurrency, entries, statement } = options;
  const insert: InsertStatement = statement === undefined ? insertPositions : insertStatements[statement];
  // Fetches the types that the driver needs to encode arrays; the processor does not.
  const sql = postgres(postgresUrl, { max: concurrency, onnotice: () => undefined });
  try {
    // Opens every connection before the measurement.
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
    return {
      positionsPerS: entries / (insertingMs / 1000),
      nodeUs: cpuUs / entries,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
    };
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
    const { fixes } = decodeEntries(entries, {
      futureFlagMs: Infinity,
      futureLimitMs: Infinity,
      pastLimitMs: Infinity,
    });
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
