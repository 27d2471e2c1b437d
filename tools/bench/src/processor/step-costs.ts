// CPU and memory per position and step, with the processor's own functions called one after the other.
import { getHeapStatistics } from 'node:v8';
import type { Fix } from '@app/processor/fix';
import { decodeEntries } from '@app/processor/pipeline/decode-entries';
import { DeviceStates, selectLastFixes } from '@app/processor/state/device-states';
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

type Step = (typeof steps)[number];

const byStep = z.object({
  read: z.number(),
  decode: z.number(),
  write: z.number(),
  state: z.number(),
  ack: z.number(),
});

export const cpuCosts = z.object({
  /** User and system time in µs of all threads, including the garbage collector. */
  cpuUs: byStep,
});

export const memoryCosts = z.object({
  /** On average. */
  attributes: z.number(),
  payloadBytes: z.number(),
  /** Most of it is garbage a moment later. */
  allocatedBytes: byStep,
  /** Retained from the read to the acknowledgement. */
  inFlightBytes: z.number(),
  stateBytesPerDevice: z.number(),
});

const batchSize = 1000;
const group = 'costs';
const deadlineMs = 30_000;

/** Runs the steps of one batch, each through `run`. */
interface Steps extends AsyncDisposable {
  readonly processBatch: (run: Run) => Promise<readonly Fix[]>;
}

async function openSteps({ redisUrl, postgresUrl, stream }: StepCostOptions): Promise<Steps> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.adopt(new Redis(redisUrl), (client) => client.disconnect());
  const sql = stack.adopt(
    postgres(postgresUrl, { max: 1, fetch_types: false, onnotice: () => undefined }),
    (client) => client.end(),
  );
  await redis.xgroup('DESTROY', stream, group);
  await redis.xgroup('CREATE', stream, group, '0');
  await sql`truncate positions`;
  const connection = stack.adopt(await StreamConnection.open(redisUrl, 'bench:costs', deadlineMs), (opened) =>
    opened.close(),
  );
  const states = new DeviceStates(
    1_000_000,
    (olderThanMs) => selectLastFixes(sql, olderThanMs),
    createMetrics(new Registry()),
  );
  const signal = new AbortController().signal;
  const owned = stack.move();
  return {
    async processBatch(run) {
      const args = ['GROUP', group, 'bench', 'COUNT', batchSize, 'STREAMS', stream, '>'];
      const batch = await run('read', async () =>
        connection.call('XREADGROUP', args, deadlineMs, parseEntriesReply),
      );
      const { fixes } = await run('decode', () =>
        decodeEntries(batch.entries, { flagMs: Infinity, limitMs: Infinity }),
      );
      await run('write', () => insertPositions(sql, sortByKey(fixes).unique));
      await run('state', async () => states.commit(await states.next(fixes, signal)));
      await run('ack', () => redis.xack(stream, group, ...batch.entries.map(({ id }) => id)));
      return fixes;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Warms up with the first fifth and measures the rest. */
async function measureCpu(options: StepCostOptions): Promise<z.output<typeof cpuCosts>> {
  await using opened = await openSteps(options);
  const batches = Math.ceil(options.entries / batchSize);
  const warmUpBatches = Math.ceil(batches / 5);
  await warmUp(opened, warmUpBatches);
  const us = noCosts();
  let positions = 0;
  for (let number = warmUpBatches; number < batches; number += 1) {
    const fixes = await opened.processBatch(async (step, work) => {
      const before = process.cpuUsage();
      const result = await work();
      const { user, system } = process.cpuUsage(before);
      us[step] += user + system;
      return result;
    });
    positions += fixes.length;
  }
  return { cpuUs: perPosition(us, positions) };
}

/** Needs `globalThis.gc` and a young generation larger than a batch: a collection would hide allocations. */
async function measureMemory(options: StepCostOptions): Promise<z.output<typeof memoryCosts>> {
  await using opened = await openSteps(options);
  const batches = Math.ceil(options.entries / batchSize);
  const warmUpBatches = Math.ceil(batches / 2);
  await warmUp(opened, warmUpBatches);
  const bytes = noCosts();
  // Retained as the loop retains batches in flight. The first is not counted: drivers always hold one batch.
  const held = [await opened.processBatch(async (_step, work) => work())];
  const heldFromBytes = usedBytes();
  for (let number = warmUpBatches + 1; number < batches; number += 1) {
    held.push(
      await opened.processBatch(async (step, work) => {
        const before = usedBytes();
        const result = await work();
        bytes[step] += heapBytes() - before;
        return result;
      }),
    );
  }
  const heldBytes = usedBytes() - heldFromBytes;
  const fixes = held.slice(1).flat();
  return {
    ...describeRecords(fixes),
    allocatedBytes: perPosition(bytes, fixes.length),
    inFlightBytes: heldBytes / fixes.length,
    stateBytesPerDevice: stateBytesPerDevice(),
  };
}

async function warmUp(opened: Steps, batches: number): Promise<void> {
  for (let number = 0; number < batches; number += 1)
    await opened.processBatch(async (_step, work) => work());
}

type Costs = Record<Step, number>;
type Run = <T>(step: Step, work: () => Promise<T> | T) => Promise<T>;

function noCosts(): Costs {
  return { read: 0, decode: 0, write: 0, state: 0, ack: 0 };
}

function perPosition(costs: Costs, positions: number): Costs {
  const mean = noCosts();
  for (const step of steps) mean[step] = costs[step] / positions;
  return mean;
}

/** In use after a full collection; twice, since buffers are freed by the next one. */
function usedBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return heapBytes();
}

function heapBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

function describeRecords(
  fixes: readonly Fix[],
): Pick<z.output<typeof memoryCosts>, 'attributes' | 'payloadBytes'> {
  const mean = (valueOf: (fix: Fix) => number): number =>
    fixes.reduce((sum, fix) => sum + valueOf(fix), 0) / Math.max(1, fixes.length);
  return {
    attributes: Math.round(mean(({ position }) => Object.keys(JSON.parse(position.attributesJson)).length)),
    payloadBytes: Math.round(mean(({ entry }) => entry.fields.at(-1)?.length ?? 0)),
  };
}

/** From the heap of 50,000 device states. */
function stateBytesPerDevice(): number {
  const devices = 50_000;
  const states = new DeviceStates(devices, async () => new Map(), createMetrics(new Registry()));
  const before = usedBytes();
  const known = Array.from({ length: devices }, (_, index) => {
    const lastFix = {
      fixAtMs: index + 0.5,
      latitude: index + 0.5,
      longitude: 1.5,
      altitudeM: 1.5,
      courseDeg: 1.5,
      speedKmh: 1.5,
    };
    return [`35${String(index).padStart(13, '0')}`, { lastFix, lastSeenAtMs: Date.now() }] as const;
  });
  states.commit({ transitions: [], states: new Map(known) });
  return (usedBytes() - before) / devices;
}

if (import.meta.main) {
  const options: StepCostOptions = JSON.parse(process.env['STEP_COSTS'] ?? '');
  // Only the memory run has --expose-gc.
  const costs = await (globalThis.gc === undefined ? measureCpu : measureMemory)(options);
  process.stdout.write(`${JSON.stringify({ costs })}\n`);
}
