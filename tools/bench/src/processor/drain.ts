import { setTimeout as sleep } from 'node:timers/promises';
import type { Program } from '@app/test-kit/program';
import type { Redis } from 'ioredis';
import { peakRssBytes, processCpuUs } from '../process-usage.ts';
import { group } from './run-processor.ts';

export interface Drained {
  readonly positionsPerS: number;
  /** CPU per position of the consumer's process, in µs. */
  readonly nodeUs: number;
  readonly peakRssBytes: number;
}

const pollIntervalMs = 10;

/** Measures a consumer of a backlog, from its first read until `entries` are acknowledged, which is after they are stored. */
export async function measureDrain(
  redis: Redis,
  stream: string,
  entries: number,
  program: Program,
): Promise<Drained> {
  const first = await untilGroup(redis, stream, program, ({ read }) => read > 0);
  const startedAtMs = performance.now();
  const cpuUsAtStart = processCpuUs(program.pid);
  const last = await untilAcknowledged(redis, stream, program, entries);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const done = last.acknowledged - first.acknowledged;
  return {
    positionsPerS: done / seconds,
    nodeUs: (processCpuUs(program.pid) - cpuUsAtStart) / done,
    peakRssBytes: peakRssBytes(program.pid),
  };
}

/** Waits until the consumer has acknowledged `entries`; throws if it ends before. */
export async function untilAcknowledged(
  redis: Redis,
  stream: string,
  program: Program,
  entries: number,
): Promise<GroupProgress> {
  return await untilGroup(redis, stream, program, ({ acknowledged }) => acknowledged >= entries);
}

interface GroupProgress {
  /** Entries delivered so far. */
  readonly read: number;
  readonly acknowledged: number;
}

async function untilGroup(
  redis: Redis,
  stream: string,
  program: Program,
  isReached: (progress: GroupProgress) => boolean,
): Promise<GroupProgress> {
  for (;;) {
    const progress = await readGroup(redis, stream);
    if (isReached(progress)) return progress;
    if (!program.isRunning) throw await program.exitError();
    await sleep(pollIntervalMs);
  }
}

async function readGroup(redis: Redis, stream: string): Promise<GroupProgress> {
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  for (const flat of Array.isArray(groups) ? groups : []) {
    const info = new Map<unknown, unknown>();
    for (let i = 0; i + 1 < flat.length; i += 2) info.set(flat[i], flat[i + 1]);
    if (info.get('name') !== group) continue;
    const read = Number(info.get('entries-read') ?? 0);
    return { read, acknowledged: read - Number(info.get('pending')) };
  }
  return { read: 0, acknowledged: 0 };
}
