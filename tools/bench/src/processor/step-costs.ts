// CPU per position and step, with the processor's own functions called one after the other.
import type { Fix } from '@app/processor/fix';
import { decodeEntries } from '@app/processor/pipeline/decode-entries';
import { DeviceStateCap } from '@app/processor/state/device-state-cap';
import { DeviceStates } from '@app/processor/state/device-states';
import { selectLastFixes } from '@app/processor/state/look-up-last-fixes';
import { parseEntriesReply } from '@app/processor/stream/entry-reply';
import { insertPositions } from '@app/processor/store/insert-positions';
import { StreamConnection } from '@app/processor/stream/stream-connection';
import { sortByKey } from '@app/processor/store/duplicate-keys';
import { createMetrics } from '@app/processor/metrics';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { Registry } from 'prom-client';
import { z } from 'zod';

export interface StepCostOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  /** With enough entries in it. */
  readonly stream: string;
  readonly entries: number;
}

export const steps = ['read', 'decode', 'write', 'state', 'ack'] as const;

/** The line that the program prints. */
export const stepCosts = z.object({
  /** User and system time in µs of all threads, including the garbage collector. */
  cpuUs: z.record(z.enum(steps), z.number()),
  /** Means of the last records. */
  attributes: z.number(),
  payloadBytes: z.number(),
});

type StepCosts = z.output<typeof stepCosts>;

const batchSize = 1000;
const group = 'costs';
const deadlineMs = 30_000;

/** Warms up with the first fifth of the entries and measures the rest. */
async function measureSteps({ redisUrl, postgresUrl, stream, entries }: StepCostOptions): Promise<StepCosts> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.adopt(new Redis(redisUrl), (client) => client.disconnect());
  const sql = stack.adopt(
    postgres(postgresUrl, { max: 1, fetch_types: false, onnotice: () => undefined }),
    (client) => client.end(),
  );
  await redis.xgroup('CREATE', stream, group, '0');
  await sql`truncate positions`;
  const connection = stack.adopt(await StreamConnection.open(redisUrl, 'bench:costs', deadlineMs), (opened) =>
    opened.close(),
  );
  const metrics = createMetrics(new Registry());
  const states = new DeviceStates(
    new DeviceStateCap(1_000_000, metrics),
    (olderThanMs) => selectLastFixes(sql, [...olderThanMs]),
    metrics,
  );
  const { signal } = new AbortController();

  let cpuUs = { read: 0, decode: 0, write: 0, state: 0, ack: 0 };
  async function measure<T>(step: keyof typeof cpuUs, work: () => Promise<T> | T): Promise<T> {
    const before = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(before);
    cpuUs[step] += user + system;
    return result;
  }

  const batches = Math.ceil(entries / batchSize);
  const warmUpBatches = Math.ceil(batches / 5);
  let positions = 0;
  // Only one batch is kept: the collector's work on all of them would count as that of the steps.
  let sample: readonly Fix[] = [];
  for (let number = 0; number < batches; number += 1) {
    if (number === warmUpBatches) cpuUs = { read: 0, decode: 0, write: 0, state: 0, ack: 0 };
    const args = ['GROUP', group, 'bench', 'COUNT', batchSize, 'STREAMS', stream, '>'];
    const batch = await measure('read', async () =>
      connection.call('XREADGROUP', args, deadlineMs, parseEntriesReply),
    );
    const { fixes } = await measure('decode', () =>
      decodeEntries(batch.entries, {
        futureFlagMs: Infinity,
        futureLimitMs: Infinity,
        pastLimitMs: Infinity,
      }),
    );
    await measure('write', () => insertPositions(sql, sortByKey(fixes).unique));
    await measure('state', async () => states.commit(await states.next(fixes, signal)));
    await measure('ack', () => redis.xack(stream, group, ...batch.entries.map(({ id }) => id)));
    if (number < warmUpBatches) continue;
    positions += fixes.length;
    sample = fixes;
  }
  const mean = (valueOf: (fix: Fix) => number): number =>
    sample.reduce((sum, fix) => sum + valueOf(fix), 0) / sample.length;
  for (const step of steps) cpuUs[step] /= positions;
  return {
    cpuUs,
    attributes: Math.round(mean(({ position }) => Object.keys(JSON.parse(position.attributesJson)).length)),
    payloadBytes: Math.round(mean(({ entry }) => entry.fields.at(-1)?.length ?? 0)),
  };
}

if (import.meta.main) {
  const costs = await measureSteps(JSON.parse(process.env['STEP_COSTS'] ?? ''));
  process.stdout.write(`${JSON.stringify({ costs })}\n`);
}
