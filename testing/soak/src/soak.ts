import { createRandom } from '@app/fleet-sim/random';
import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { drawFaults } from './faults/draw-faults.ts';
import { type Fault, holdUntil, type FaultContext } from './faults/fault.ts';
import { postgresFaults } from './faults/postgres-faults.ts';
import { processorFaults } from './faults/processor-faults.ts';
import { redisFaults } from './faults/redis-faults.ts';
import { streamFaults } from './faults/stream-faults.ts';
import { Producer } from './producer.ts';
import { Load } from './load.ts';
import { openHarness, type SoakHarness } from './open-harness.ts';
import { type Outcome, checkOutcome } from './check-outcome.ts';
import type { SoakArguments } from './read-arguments.ts';
import { readStreamState, type StreamState } from './stream-state.ts';

export interface SoakOptions extends SoakArguments {
  /** Ends load and faults early. */
  readonly stop: AbortSignal;
  /** Called with each line of output. */
  readonly print: (line: string) => void;
  /** A module that each processor loads before its own code. */
  readonly preload?: URL;
  readonly faults?: readonly Fault[];
}

export interface SoakResult {
  readonly summary: string;
  /** Violations of the promise. */
  readonly problems: readonly string[];
}

const allFaults = [...processorFaults, ...redisFaults, ...postgresFaults, ...streamFaults];
const pauseMs = 400;
const progressIntervalMs = 5000;
const finishLimitMs = 240_000;

/** Produces load and faults for a while, waits until everything is processed, and checks the outcome. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { seed, ratePerS, durationMs, stop, preload, faults = allFaults } = options;
  await using harness = await openHarness(preload);
  const startedAtMs = performance.now();
  const print = (line: string): void => {
    const atS = (performance.now() - startedAtMs) / 1000;
    options.print(`${atS.toFixed(1).padStart(6)} s  ${line}`);
  };
  await harness.replicas.start('processor-1');

  const load = new Load(seed);
  const producer = new Producer(harness.redis, harness.stream, load, ratePerS);
  const failure = new AbortController();
  const { failed } = harness.replicas;
  const ended = AbortSignal.any([stop, failed, failure.signal, AbortSignal.timeout(durationMs)]);
  const log = (what: string): void => print(`* ${what}`);
  const context = { harness, producer, log, hold: holdUntil(ended) };
  const injecting = injectFaults(context, faults, seed, ended);
  // A fault that cannot be injected ends the load too.
  injecting.catch((error: unknown) => failure.abort(error));
  const [injected, ...others] = await Promise.allSettled([
    injecting,
    producer.run(ended),
    showProgress(harness, producer, print, ended),
  ]);
  for (const each of [injected, ...others]) if (each.status === 'rejected') throw each.reason;
  const faultCount = injected.status === 'fulfilled' ? injected.value : 0;
  print(`load ended after ${faultCount} faults; waiting until everything is stored or dead-lettered`);

  if (harness.replicas.names.length === 0) await harness.replicas.start('processor-1');
  const unfinished = await waitUntilFinished(harness, print);
  const ends = [];
  for (const name of harness.replicas.names) ends.push([name, await harness.replicas.stop(name)] as const);
  const badEnds = ends
    .filter(([, end]) => end !== 0)
    .map(([name, end]) => `${name} ended with ${end} when it was stopped`);
  const { sql, stream } = harness;
  // The harness's connection fails after 3 s, which is too soon for a long reply.
  const redis = new Redis(harness.ownRedis.url);
  const outcome = await checkOutcome({ redis, sql, stream, load, sent: producer.counts }).finally(() =>
    redis.disconnect(),
  );
  print('outcome checked');
  return {
    summary: summarise(producer, outcome, faultCount),
    problems: [...outcome.problems, ...unfinished, ...badEnds, ...harness.replicas.problems()],
  };
}

/** Injects faults one after the other, with a pause between; returns how many. */
async function injectFaults(
  context: Omit<FaultContext, 'random'>,
  faults: readonly Fault[],
  seed: number,
  ended: AbortSignal,
): Promise<number> {
  let injected = 0;
  for (const together of drawFaults(faults, createRandom(seed))) {
    await context.hold(pauseMs);
    if (ended.aborted) break;
    // Each has its own random sequence: what one draws must not depend on the timing of the other.
    const injecting = together.map((fault, n) =>
      injectFault(fault, { ...context, random: createRandom(seed, injected + n) }),
    );
    for (const end of await Promise.allSettled(injecting)) if (end.status === 'rejected') throw end.reason;
    injected += together.length;
  }
  return injected;
}

async function injectFault(fault: Fault, context: FaultContext): Promise<void> {
  try {
    await fault.run(context);
  } catch (error) {
    // A processor that ended by itself is reported as a problem already.
    if (context.harness.replicas.failed.aborted) return;
    throw new Error(`fault '${fault.target}: ${fault.name}' could not be injected`, { cause: error });
  }
}

async function showProgress(
  harness: SoakHarness,
  producer: Producer,
  print: (line: string) => void,
  ended: AbortSignal,
): Promise<void> {
  while (!ended.aborted) {
    await sleep(progressIntervalMs, undefined, { signal: ended }).catch(() => undefined);
    print(await describe(harness, producer));
  }
}

async function describe({ redis, stream, replicas }: SoakHarness, producer: Producer): Promise<string> {
  const { records, confirmed } = producer.counts;
  const sent = `${records} records sent in ${confirmed} entries`;
  const running = `${replicas.names.length} processors`;
  try {
    const { lag, pending, deadLetters } = await readStreamState(redis, stream);
    return `${sent}, unread ${lag ?? 'unknown'}, pending ${pending}, dead letters ${deadLetters}, ${running}`;
  } catch {
    return `${sent}, Redis does not answer, ${running}`;
  }
}

/** Waits until nothing is unread or pending; returns what is left at the time limit. */
async function waitUntilFinished(
  { redis, stream }: SoakHarness,
  print: (line: string) => void,
): Promise<readonly string[]> {
  const deadlineMs = performance.now() + finishLimitMs;
  let shownAtMs = performance.now();
  for (;;) {
    const left = await readStreamState(redis, stream).then(describeLeft, String);
    if (left === undefined) return [];
    if (performance.now() > deadlineMs)
      return [`not finished ${finishLimitMs / 1000} s after the load: ${left}`];
    if (performance.now() > shownAtMs + progressIntervalMs) {
      print(left);
      shownAtMs = performance.now();
    }
    await sleep(50);
  }
}

function describeLeft({ pending, lag, lastDeliveredId, lastGeneratedId }: StreamState): string | undefined {
  if (pending === 0 && lastDeliveredId === lastGeneratedId) return undefined;
  return `unread ${lag ?? 'unknown'}, pending ${pending}`;
}

function summarise(
  producer: Producer,
  { rows, deadLetters, repeatedDeadLetters }: Outcome,
  faults: number,
): string {
  const { records, confirmed, unconfirmed, replayed } = producer.counts;
  const reasons = [...deadLetters].map(([reason, count]) => `${reason} ${count}`).toSorted();
  return [
    `${faults} faults`,
    `${records} records in ${confirmed} entries (${unconfirmed} XADDs without a reply, sent again)`,
    `${rows} rows`,
    `dead letters: ${reasons.join(', ')} (${repeatedDeadLetters} of them written twice; ${replayed} replayed before)`,
  ].join('\n');
}
