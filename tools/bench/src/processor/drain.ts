import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { processCpuUs } from '../process-usage.ts';
import type { Program } from '@app/test-kit/program';

export interface Drained {
  readonly positionsPerS: number;
  /** CPU of the consumer's process. */
  readonly cpuUsPerPosition: number;
}

const pollIntervalMs = 10;

/** Measures a consumer of a backlog, from its first read until `entries` are acknowledged, which is after they are stored. */
export async function measureDrain(
  redis: Redis,
  stream: string,
  group: string,
  entries: number,
  program: Program,
): Promise<Drained> {
  let progress = await readGroupProgress(redis, stream, group);
  while (progress.read === 0) progress = await pollGroup(redis, stream, group, program);
  const startedAtMs = performance.now();
  const cpuUsAtStart = processCpuUs(program.pid);
  const acknowledgedAtStart = progress.read - progress.pending;
  while (progress.read - progress.pending < entries)
    progress = await pollGroup(redis, stream, group, program);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const done = progress.read - progress.pending - acknowledgedAtStart;
  return {
    positionsPerS: done / seconds,
    cpuUsPerPosition: (processCpuUs(program.pid) - cpuUsAtStart) / done,
  };
}

async function pollGroup(
  redis: Redis,
  stream: string,
  group: string,
  program: Program,
): Promise<GroupProgress> {
  if (!program.isRunning) throw await program.exitError();
  await sleep(pollIntervalMs);
  return readGroupProgress(redis, stream, group);
}

/** Progress of a consumer group. */
export interface GroupProgress {
  /** Entries delivered so far. */
  readonly read: number;
  /** Of these, entries not acknowledged. */
  readonly pending: number;
}

export async function readGroupProgress(redis: Redis, stream: string, group: string): Promise<GroupProgress> {
  const groups: unknown = await redis.xinfo('GROUPS', stream);
  for (const flat of Array.isArray(groups) ? groups : []) {
    const info = new Map<unknown, unknown>();
    for (let i = 0; i + 1 < flat.length; i += 2) info.set(flat[i], flat[i + 1]);
    if (info.get('name') === group) {
      return { read: Number(info.get('entries-read') ?? 0), pending: Number(info.get('pending')) };
    }
  }
  return { read: 0, pending: 0 };
}
