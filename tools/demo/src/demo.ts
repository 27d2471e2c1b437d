import { setTimeout as sleep } from 'node:timers/promises';
import { feed } from '@app/fleet-sim/feed';
import { race, raceImeis, type Sending } from '@app/fleet-sim/race';
import { replayTracks } from '@app/fleet-sim/replay-tracks';
import { Tally } from '@app/fleet-sim/tally';
import { logIn } from '@app/spectator/log-in';
import { describeExit } from '@app/test-kit/program';
import { startServers } from '@app/test-kit/servers';
import { Redis } from 'ioredis';
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
  /** What is not as it must be; empty if all is well. */
  readonly problems: readonly string[];
}

const redrawMs = 500;
const settleLimitMs = 30_000;
/** Longer than the gateway gathers changes for a client: then the last position has come. */
const quietMs = 600;

/**
 * Runs the whole system with a race and a spectator until the time is over or the
 * signal says stop, shows it meanwhile, and counts at the end.
 *
 * @throws where something could not be started, or a service died: the error says what it last logged.
 */
export async function runDemo(wanted: DemoArguments, screen: Screen, stop: AbortSignal): Promise<DemoResult> {
  const say = (line: string): unknown => screen.write(`${line}\n`);
  say('starting Redis, Postgres, a small Directus, the processor and the gateway');
  await using servers = await startServers({ print: say });
  stop.throwIfAborted();
  const vehicles = await lineUp(wanted);
  const { redisUrl, postgresUrl } = servers;
  await using system = await startSystem({ redisUrl, postgresUrl, imeis: vehicles.imeis, signal: stop });
  screen.write(await describeSystem(system, servers, stop));

  await using spectator = await Promise.race([enterAsSpectator(system, stop), outliveServices(system)]);
  const sent = await Promise.race([
    run({ wanted, screen, stop, system, spectator, ...vehicles }),
    outliveServices(system),
    outliveConnection(system, spectator),
  ]);

  const counted = await countOutcome(system, sent.counts, settleLimitMs);
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
  /** To be called when the sending begins. */
  readonly begin: () => Iterable<Sending>;
}

async function lineUp({ vehicles, seed, isReplay }: DemoArguments): Promise<Vehicles> {
  if (isReplay) {
    const replay = await replayTracks({ startAtMs: Math.floor(Date.now() / 1_000) * 1_000, vehicles });
    return { imeis: replay.imeis, begin: () => from(Date.now(), replay.sendings) };
  }
  // The race began a while ago, so that most of them are on their way.
  const startIntervalMs = Math.min(2_000, 60_000 / vehicles);
  const startAtMs = Math.floor((Date.now() - vehicles * startIntervalMs) / 1_000) * 1_000;
  return {
    imeis: raceImeis({ seed, vehicles }),
    begin: () => from(Date.now(), race({ seed, vehicles, startAtMs, startIntervalMs })),
  };
}

function* from(sinceMs: number, sendings: Iterable<Sending>): Generator<Sending> {
  for (const sending of sendings) if (sending.sendAtMs >= sinceMs) yield sending;
}

interface Running extends Vehicles {
  readonly wanted: DemoArguments;
  readonly screen: Screen;
  readonly stop: AbortSignal;
  readonly system: System;
  readonly spectator: Spectator;
}

/** Sends the race for as long as it is to last, and shows how it goes. */
async function run({ wanted, screen, stop, system, spectator, imeis, begin }: Running): Promise<Tally> {
  const { durationMs } = wanted;
  const signal = durationMs === undefined ? stop : AbortSignal.any([stop, AbortSignal.timeout(durationMs)]);
  const redis = new Redis(system.redisUrl, { retryStrategy: null });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  using view = createView({ screen, startedAtMs: Date.now(), durationMs, imeis });

  const tally = new Tally();
  try {
    const feeding = feed({ redis, stream: system.stream, sendings: begin(), signal, tally });
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
  const over = feeding.then(
    () => true,
    () => true, // Whoever awaits the feed itself hears of its error.
  );
  for (;;) {
    await show();
    const isOver = await Promise.race([over, sleep(redrawMs, false)]);
    if (isOver) break;
  }
  await show();
}

async function enterAsSpectator(system: System, signal: AbortSignal): Promise<Spectator> {
  const { directus, visitor, gateway, liveUrl, origin, event } = system;
  const cookie = await logIn(directus.url, visitor);
  try {
    return await Spectator.connect({ url: liveUrl, origin, cookie, topic: event.topic }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the spectator does not get in: ${why}. ${gateway.name}: ${gateway.lastLines()}`, {
      cause: error,
    });
  }
}

/** Rejects when a service ends that was not asked to. */
async function outliveServices({ processor, gateway }: System): Promise<never> {
  throw await Promise.race([processor.exitError(), gateway.exitError()]);
}

async function outliveConnection({ gateway }: System, spectator: Spectator): Promise<never> {
  const code = await spectator.closed;
  // Of a gateway that died the closed connection is heard first; why it died is the better news.
  const reason = await Promise.race([gateway.exitError(), sleep(1_000)]);
  throw (
    reason ??
    new Error(`the spectator's connection was closed with ${code}. ${gateway.name}: ${gateway.lastLines()}`)
  );
}
