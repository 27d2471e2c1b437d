import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Program } from '../program.ts';

export interface DrainRate {
  readonly entries: number;
  readonly seconds: number;
  readonly positionsPerS: number;
}

export interface GroupPlace {
  readonly read: number;
  readonly pending: number;
}

const pollIntervalMs = 10;

/**
 * Measures a consumer that is working through a backlog: from the first entry it was given to the last one
 * acknowledged, or until `entries` are. Its start is not counted.
 */
export async function measureDrain(
  redis: Redis,
  stream: string,
  group: string,
  entries: number,
  program: Program,
): Promise<DrainRate> {
  let place = await groupPlace(redis, stream, group);
  while (place.read === 0) place = await nextPlace(redis, stream, group, program);
  const startedAtMs = performance.now();
  const acknowledgedAtStart = place.read - place.pending;
  while (place.read - place.pending < entries) place = await nextPlace(redis, stream, group, program);
  const seconds = (performance.now() - startedAtMs) / 1000;
  const done = place.read - place.pending - acknowledgedAtStart;
  return { entries: done, seconds, positionsPerS: done / seconds };
}

async function nextPlace(redis: Redis, stream: string, group: string, program: Program): Promise<GroupPlace> {
  if (program.hasEnded()) throw new Error('the consumer ended before it was through its backlog');
  await sleep(pollIntervalMs);
  return groupPlace(redis, stream, group);
}

/** Entries delivered to the group so far, and of these those not acknowledged. */
async function groupPlace(redis: Redis, stream: string, group: string): Promise<GroupPlace> {
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
