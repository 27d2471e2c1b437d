import { createRandom } from '@app/fleet-sim/random';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { drawFaults } from './faults/draw-faults.ts';
import { type Fault, holdUntil, type Stage } from './faults/fault.ts';
import { postgresFaults } from './faults/postgres-faults.ts';
import { processorFaults } from './faults/processor-faults.ts';
import { redisFaults } from './faults/redis-faults.ts';
import { streamFaults } from './faults/stream-faults.ts';
import { Feed } from './feed.ts';
import { Load } from './load.ts';
import { openWorld, type SoakWorld } from './open-world.ts';
import { type Proof, prove } from './prove.ts';
import type { SoakArguments } from './read-arguments.ts';
import { readPlace, type StreamPlace } from './stream-place.ts';

export interface SoakOptions extends SoakArguments {
  /** Ends load and faults early. */
  readonly stop: AbortSignal;
  /** Hears one line at a time. */
  readonly print: (line: string) => void;
  /** A module that each processor loads before its own code. */
  readonly preload?: URL;
  readonly faults?: readonly Fault[];
}

export interface SoakOutcome {
  readonly summary: string;
  /** What is not as it was promised; none if all is. */
  readonly problems: readonly string[];
}

const allFaults = [...processorFaults, ...redisFaults, ...postgresFaults, ...streamFaults];
const calmMs = 400;
const progressIntervalMs = 5000;
const settleLimitMs = 240_000;

/** Load and faults for a while, then quiet until all is done, then the proof. */
export async function soak(options: SoakOptions): Promise<SoakOutcome> {
  const { seed, ratePerS, durationMs, stop, preload, faults = allFaults } = options;
  await using world = await openWorld(preload);
  const startedAtMs = performance.now();
  const print = (line: string): void => {
    const atS = (performance.now() - startedAtMs) / 1000;
    options.print(`${atS.toFixed(1).padStart(6)} s  ${line}`);
  };
  await world.replicas.start('processor-1');

  const load = new Load(seed);
  const feed = new Feed(world.redis, world.stream, load, ratePerS);
  const failure = new AbortController();
  const { failed } = world.replicas;
  const over = AbortSignal.any([stop, failed, failure.signal, AbortSignal.timeout(durationMs)]);
  const say = (what: string): void => print(`* ${what}`);
  const stage = { world, feed, say, hold: holdUntil(over) };
  const striking = strike(stage, faults, seed, over);
  // A fault that cannot be done ends the load too, before the servers are taken away.
  striking.catch((error: unknown) => failure.abort(error));
  const [struck, ...others] = await Promise.allSettled([
    striking,
    feed.run(over),
    showProgress(world, feed, print, over),
  ]);
  for (const each of [struck, ...others]) if (each.status === 'rejected') throw each.reason;
  const faultCount = struck.status === 'fulfilled' ? struck.value : 0;
  print(`the load is over after ${faultCount} faults; waiting until all of it is stored or parked`);

  if (world.replicas.names.length === 0) await world.replicas.start('processor-1');
  const settling = await settle(world, print);
  const ends = [];
  for (const name of world.replicas.names) ends.push([name, await world.replicas.stop(name)] as const);
  const badEnds = ends
    .filter(([, end]) => end !== 0)
    .map(([name, end]) => `${name}, asked to stop, ended with ${end}`);
  const { sql, stream } = world;
  // The world's own connection gives up soon, for there was always a next try. Here is none.
  const redis = new Redis(world.ownRedis.url);
  const proof = await prove({ redis, sql, stream, load, fed: feed.counts }).finally(() => redis.disconnect());
  print('proven what there is to prove');
  return {
    summary: summarise(feed, proof, faultCount),
    problems: [...proof.problems, ...settling, ...badEnds, ...world.replicas.problems()],
  };
}

/** One turn of faults after the other, with a calm between; returns how many there were. */
async function strike(
  stage: Omit<Stage, 'random'>,
  faults: readonly Fault[],
  seed: number,
  over: AbortSignal,
): Promise<number> {
  let struck = 0;
  for (const together of drawFaults(faults, createRandom(seed))) {
    await stage.hold(calmMs);
    if (over.aborted) break;
    // A sequence of its own for each: what one draws must not depend on when the other does.
    const striking = together.map((fault, n) =>
      strikeOne(fault, { ...stage, random: createRandom(seed, struck + n) }),
    );
    for (const end of await Promise.allSettled(striking)) if (end.status === 'rejected') throw end.reason;
    struck += together.length;
  }
  return struck;
}

async function strikeOne(fault: Fault, stage: Stage): Promise<void> {
  try {
    await fault.run(stage);
  } catch (error) {
    // Of a processor that is not there any more this is no news: its end is among the problems.
    if (stage.world.replicas.failed.aborted) return;
    throw new Error(`the fault '${fault.place}: ${fault.name}' could not be done`, { cause: error });
  }
}

async function showProgress(
  world: SoakWorld,
  feed: Feed,
  print: (line: string) => void,
  over: AbortSignal,
): Promise<void> {
  while (!over.aborted) {
    await sleep(progressIntervalMs, undefined, { signal: over }).catch(() => undefined);
    print(await describe(world, feed));
  }
}

async function describe({ redis, stream, replicas }: SoakWorld, feed: Feed): Promise<string> {
  const { records, answered } = feed.counts;
  const sent = `${records} records sent in ${answered} entries`;
  const running = `${replicas.names.length} processors`;
  try {
    const { lag, pending, deadLetters } = await readPlace(redis, stream);
    return `${sent}, unread ${lag ?? 'unknown'}, pending ${pending}, dead letters ${deadLetters}, ${running}`;
  } catch {
    return `${sent}, Redis does not answer, ${running}`;
  }
}

/** Waits until nothing is unread or pending; says what is left if that does not come. */
async function settle(
  { redis, stream }: SoakWorld,
  print: (line: string) => void,
): Promise<readonly string[]> {
  const deadlineMs = performance.now() + settleLimitMs;
  let shownAtMs = performance.now();
  for (;;) {
    const left = await readPlace(redis, stream).then(whatIsLeft, String);
    if (left === undefined) return [];
    if (performance.now() > deadlineMs) return [`not done ${settleLimitMs / 1000} s after the load: ${left}`];
    if (performance.now() > shownAtMs + progressIntervalMs) {
      print(left);
      shownAtMs = performance.now();
    }
    await sleep(50);
  }
}

function whatIsLeft({ pending, lag, lastDeliveredId, lastGeneratedId }: StreamPlace): string | undefined {
  if (pending === 0 && lastDeliveredId === lastGeneratedId) return undefined;
  return `unread ${lag ?? 'unknown'}, pending ${pending}`;
}

function summarise(feed: Feed, { rows, letters, repeatedLetters }: Proof, faults: number): string {
  const { records, answered, unanswered, replayed } = feed.counts;
  const reasons = [...letters].map(([reason, count]) => `${reason} ${count}`).toSorted();
  return [
    `${faults} faults`,
    `${records} records in ${answered} entries (${unanswered} XADDs without an answer, sent again)`,
    `${rows} rows`,
    `dead letters: ${reasons.join(', ')} (${repeatedLetters} of them written twice; ${replayed} replays before)`,
  ].join('\n');
}
