import { runTool } from '@app/runtime/run-tool';
import { Redis } from 'ioredis';
import { feed } from './feed.ts';
import { race } from './race.ts';
import { readArguments, usage, type FleetSimArguments } from './read-arguments.ts';
import { replayTracks } from './replay-tracks.ts';
import { Tally } from './tally.ts';

/** Redis does not answer (EX_UNAVAILABLE of sysexits.h). */
const unavailable = 69;
const printIntervalMs = 5_000;

process.exitCode = await runTool({
  name: 'fleet-sim',
  usage,
  read: () => readArguments(process.argv.slice(2), process.env),
  run: main,
});

async function main(args: FleetSimArguments): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

  const redis = new Redis(args.redisUrl, {
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
  });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  try {
    await redis.connect();
    await run(args, redis, stop.signal);
    return 0;
  } catch (error) {
    const problem = lastError ?? error;
    console.error(`fleet-sim: ${describe(problem)}. Check REDIS_URL`);
    return problem instanceof Error && problem.name === 'ReplyError' ? 1 : unavailable;
  } finally {
    redis.disconnect();
  }
}

async function run(args: FleetSimArguments, redis: Redis, signal: AbortSignal): Promise<void> {
  const { stream, vehicles, seed, durationMs, speed, isReplay, hasIncidents, maxLength } = args;
  const startAtMs = raceStartMs(Date.now(), durationMs, speed);
  const period = durationMs === undefined ? { startAtMs } : { startAtMs, durationMs };
  const replay = isReplay ? await replayTracks({ ...period, vehicles }) : undefined;
  const records = replay?.records ?? race({ ...period, seed, vehicles, hasIncidents });

  const tally = new Tally();
  console.log(`sending ${replay?.imeis.length ?? vehicles} vehicles to ${stream}`);
  const timer = setInterval(() => printCounts(tally), printIntervalMs);
  try {
    await feed({ redis, stream, records, signal, speed, maxLength, tally });
  } finally {
    clearInterval(timer);
    printCounts(tally);
  }
}

/** A whole second, like GPS fixes, early enough that a race sent faster has no fix in the future. */
function raceStartMs(nowMs: number, durationMs: number | undefined, speed: number): number {
  const aheadMs = durationMs === undefined || speed === 1 ? 0 : durationMs - durationMs / speed;
  return Math.floor((nowMs - aheadMs) / 1_000) * 1_000;
}

function printCounts(tally: Tally): void {
  const { records, distinct, duplicates, conflicting } = tally.counts;
  console.log(
    `sent ${records} records: ${distinct} fixes, ${duplicates} duplicates, ${conflicting} conflicting`,
  );
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A host with several addresses gives one error per address.
  const reasons = error instanceof AggregateError ? error.errors.map(describe).join(', ') : error.message;
  return error.cause === undefined ? reasons : `${reasons}: ${describe(error.cause)}`;
}
