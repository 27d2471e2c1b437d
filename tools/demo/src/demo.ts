import { setTimeout as sleep } from 'node:timers/promises';
import { feed } from '@app/fleet-sim/feed';
import { race, raceImeis } from '@app/fleet-sim/race';
import { replayTracks } from '@app/fleet-sim/replay-tracks';
import { Tally } from '@app/fleet-sim/tally';
import type { TimedRecord } from '@app/fleet-sim/timed-record';
import { logIn } from '@app/spectator/log-in';
import { describeExit } from '@app/test-kit/program';
import { readSources, startServers } from '@app/test-kit/servers';
import { Redis } from 'ioredis';
import { checkGivenServers } from './check-given-servers.ts';
import { describeSystem } from './describe-system.ts';
import { countOutcome, findProblems, summarise } from './outcome.ts';
import { readProgress } from './progress.ts';
import type { DemoArguments } from './read-arguments.ts';
import { Spectator } from './spectator.ts';
import { startSystem, type System } from './system.ts';
import { createView, type Screen } from './view.ts';

export interface DemoResult {
  /** The one line of what was sent, stored and received. */
  readonly summary: string;
  /** Empty if all is well. */
  readonly problems: readonly string[];
}

const redrawMs = 500;
const settleTimeoutMs = 30_000;
/** Longer than the gateway's flush interval, so that the last position has arrived. */
const quietMs = 600;

/**
 * Runs the whole system with a race and a spectator until the duration is over or the signal aborts, shows the progress
 * and counts at the end.
 *
 * @throws if something could not be started or a service ended, with its last log lines.
 */
export async function runDemo(args: DemoArguments, screen: Screen, stop: AbortSignal): Promise<DemoResult> {
  const print = (line: string): unknown => screen.write(`${line}\n`);
  if (readSources(process.env['TEST_SERVERS']).includes('environment')) await checkGivenServers(process.env);
  print('starting Redis, Postgres, a Directus stand-in, the processor and the gateway');
  await using servers = await startServers({ print });
  stop.throwIfAborted();
  const vehicles = await prepareRace(args);
  const { redisUrl, postgresUrl } = servers;
  await using system = await startSystem({ redisUrl, postgresUrl, imeis: vehicles.imeis, signal: stop });
  screen.write(await describeSystem(system, servers, stop));

  await using spectator = await Promise.race([connectSpectator(system, stop), rejectWhenServiceEnds(system)]);
  const sent = await Promise.race([
    run({ args, screen, stop, system, spectator, ...vehicles }),
    rejectWhenServiceEnds(system),
    rejectWhenDisconnected(system, spectator),
  ]);

  const counted = await countOutcome(system, sent.counts, settleTimeoutMs);
  await spectator.untilQuiet(quietMs);
  const ends = await Promise.all([system.gateway.stop(), system.processor.stop()]);
  const outcome = {
    sent: sent.counts,
    counted,
    received: spectator.received,
    latencies: spectator.latencies,
  };
  const badEnds = ends
    .filter(({ code }) => code !== 0)
    .map((end) => `a service ended with ${describeExit(end)}`);
  return { summary: summarise(outcome), problems: [...findProblems(outcome), ...badEnds] };
}

interface Vehicles {
  readonly imeis: readonly string[];
  /** Called when sending begins. */
  readonly begin: () => Iterable<TimedRecord>;
}

async function prepareRace({ vehicles, seed, isReplay }: DemoArguments): Promise<Vehicles> {
  if (isReplay) {
    const replay = await replayTracks({ startAtMs: Math.floor(Date.now() / 1_000) * 1_000, vehicles });
    return { imeis: replay.imeis, begin: () => from(Date.now(), replay.records) };
  }
  // The race began a while ago, so that most vehicles are moving.
  const startIntervalMs = Math.min(2_000, 60_000 / vehicles);
  const startAtMs = Math.floor((Date.now() - vehicles * startIntervalMs) / 1_000) * 1_000;
  return {
    imeis: raceImeis({ seed, vehicles }),
    begin: () => from(Date.now(), race({ seed, vehicles, startAtMs, startIntervalMs })),
  };
}

function* from(sinceMs: number, sendings: Iterable<TimedRecord>): Generator<TimedRecord> {
  for (const sending of sendings) if (sending.sendAtMs >= sinceMs) yield sending;
}

interface Running extends Vehicles {
  readonly args: DemoArguments;
  readonly screen: Screen;
  readonly stop: AbortSignal;
  readonly system: System;
  readonly spectator: Spectator;
}

/** Sends the race and shows the progress. */
async function run({ args, screen, stop, system, spectator, imeis, begin }: Running): Promise<Tally> {
  const { durationMs } = args;
  const signal = durationMs === undefined ? stop : AbortSignal.any([stop, AbortSignal.timeout(durationMs)]);
  const redis = new Redis(system.redisUrl, { retryStrategy: null });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  using view = createView({ screen, startedAtMs: Date.now(), durationMs, imeis });

  const tally = new Tally();
  try {
    const feeding = feed({ redis, stream: system.stream, records: begin(), signal, tally });
    await Promise.all([
      feeding,
      showUntil(feeding, async () => view.show(await readProgress(system, tally, spectator))),
    ]);
    return tally;
  } catch (error) {
    throw lastError ?? error;
  } finally {
    redis.disconnect();
  }
}

async function showUntil(feeding: Promise<unknown>, show: () => Promise<void>): Promise<void> {
  const ended = feeding.then(
    () => true,
    () => true, // The caller awaits the feed itself.
  );
  for (;;) {
    await show();
    const hasEnded = await Promise.race([ended, sleep(redrawMs, false)]);
    if (hasEnded) break;
  }
  await show();
}

async function connectSpectator(system: System, signal: AbortSignal): Promise<Spectator> {
  const { directus, visitor, gateway, liveUrl, origin, event } = system;
  const cookie = await logIn(directus.url, visitor);
  try {
    return await Spectator.connect({ url: liveUrl, origin, cookie, topic: event.topic }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the spectator cannot subscribe: ${reason}. ${gateway.name}: ${gateway.lastLines()}`, {
      cause: error,
    });
  }
}

/** Rejects when a service ends unexpectedly. */
async function rejectWhenServiceEnds({ processor, gateway }: System): Promise<never> {
  throw await Promise.race([processor.exitError(), gateway.exitError()]);
}

async function rejectWhenDisconnected({ gateway }: System, spectator: Spectator): Promise<never> {
  const code = await spectator.closed;
  // If the gateway ended, that is the better error.
  const reason = await Promise.race([gateway.exitError(), sleep(1_000)]);
  throw (
    reason ??
    new Error(`the spectator's connection was closed with ${code}. ${gateway.name}: ${gateway.lastLines()}`)
  );
}
