import { runTool } from '@app/runtime/run-tool';
import { Redis } from 'ioredis';
import { feed } from './feed.ts';
import { race } from './race.ts';
import { readArguments, usage, type FleetSimArguments } from './read-arguments.ts';
import { replayTracks } from './replay-tracks.ts';
import { Tally } from './tally.ts';

const sayEveryMs = 5_000;

process.exitCode = await runTool({
  name: 'fleet-sim',
  usage,
  usageExitCode: 78,
  read: () => readArguments(process.argv.slice(2), process.env),
  run: main,
});

async function main(wanted: FleetSimArguments): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

  // A tool says that Redis is not there rather than wait for it.
  const redis = new Redis(wanted.redisUrl, {
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
  });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  try {
    await redis.connect();
    await run(wanted, redis, stop.signal);
    return 0;
  } catch (error) {
    console.error(`fleet-sim: ${describe(lastError ?? error)}. Is there a Redis at REDIS_URL?`);
    return 1;
  } finally {
    redis.disconnect();
  }
}

async function run(wanted: FleetSimArguments, redis: Redis, signal: AbortSignal): Promise<void> {
  const { stream, vehicles, seed, durationMs, speed, isReplay, maxLength } = wanted;
  const startAtMs = raceStartMs(Date.now(), durationMs, speed);
  const period = durationMs === undefined ? { startAtMs } : { startAtMs, durationMs };
  const replay = isReplay ? await replayTracks({ ...period, vehicles }) : undefined;
  const sendings = replay?.sendings ?? race({ ...period, seed, vehicles });

  const tally = new Tally();
  console.log(`${replay?.imeis.length ?? vehicles} vehicles onto ${stream}`);
  const timer = setInterval(() => say(tally), sayEveryMs);
  try {
    await feed({ redis, stream, sendings, signal, speed, maxLength, tally });
  } finally {
    clearInterval(timer);
    say(tally);
  }
}

/** On a whole second, as GPS fixes are, and so that no fix of a race sent faster lies in the future. */
function raceStartMs(nowMs: number, durationMs: number | undefined, speed: number): number {
  const aheadMs = durationMs === undefined || speed === 1 ? 0 : durationMs - durationMs / speed;
  return Math.floor((nowMs - aheadMs) / 1_000) * 1_000;
}

function say(tally: Tally): void {
  const { records, distinct, duplicates, conflicting } = tally.counts;
  console.log(
    `sent ${records} records: ${distinct} fixes, ${duplicates} duplicates, ${conflicting} conflicting`,
  );
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A refused connection to a host of several addresses has its reasons one level down.
  const reasons = error instanceof AggregateError ? error.errors.map(describe).join(', ') : error.message;
  return error.cause === undefined ? reasons : `${reasons}: ${describe(error.cause)}`;
}
