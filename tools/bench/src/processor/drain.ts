import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { processCpuUs } from '../process-usage.ts';
import type { Program } from '@app/test-kit/program';

export interface Drained {
  readonly positionsPerS: number;
  /** Of the consumer's process. */
  readonly cpuUsPerPosition: number;
}

const pollIntervalMs = 10;

/**
 * Measures a consumer that is working through a backlog: from the first entries it was given until `entries` are
 * acknowledged, which they are when they are stored. Its start is not counted.
 */
export async function measureDrain(
  redis: Redis,
  stream: string,
  group: string,
  entries: number,
  program: Program,
): Promise<Drained> {
  let place = await groupPlace(redis, stream, group);
  while (place.read === 0) place = await nextPlace(redis, stream, group, program);
  const startedAtMs = performance.now();
  const cpuUsAtStart = processCpuUs(program.pid);
  const acknowledgedAtStart = place.read - place.pending;
  while (place.read - place.pending < entries) place = await nextPlace(redis, stream, group, program);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const done = place.read - place.pending - acknowledgedAtStart;
  return {
    positionsPerS: done / seconds,
    cpuUsPerPosition: (processCpuUs(program.pid) - cpuUsAtStart) / done,
  };
}

async function nextPlace(redis: Redis, stream: string, group: string, program: Program): Promise<GroupPlace> {
  if (!program.isRunning) throw await program.exitError();
  await sleep(pollIntervalMs);
  return groupPlace(redis, stream, group);
}

/** Where a group stands on its stream. */
export interface GroupPlace {
  /** Entries delivered to the group so far, */
  readonly read: number;
  /** and of these those not acknowledged. */
  readonly pending: number;
}

export async function groupPlace(redis: Redis, stream: string, group: string): Promise<GroupPlace> {
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
