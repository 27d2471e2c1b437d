import { setTimeout as sleep } from 'node:timers/promises';
import { feed } from '@app/fleet-sim/feed';
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
import { prepareRace, type PreparedRace } from './prepare-race.ts';
import { untilAsScripted } from './race-results.ts';
import type { DemoArguments } from './read-arguments.ts';
import { Spectator } from './spectator.ts';
import { startSystem, type System } from './system.ts';
import { createView, type Screen } from './view.ts';

export interface DemoResult {
  /** What the result tables hold, for a reader. Empty for recorded flights, which drive no course. */
  readonly results: readonly string[];
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
  const prepared = await prepareRace(args);
  const { redisUrl, postgresUrl } = servers;
  await using system = await startSystem({ redisUrl, postgresUrl, ...prepared, signal: stop });
  screen.write(await describeSystem(system, servers, stop));

  await using spectator = await Promise.race([connectSpectator(system, stop), rejectWhenServiceEnds(system)]);
  const sent = await Promise.race([
    run({ args, screen, stop, system, spectator, ...prepared }),
    rejectWhenServiceEnds(system),
    rejectWhenDisconnected(system, spectator),
  ]);

  const counted = await countOutcome(system, sent.tally.counts, settleTimeoutMs);
  const { results, differences } = await untilAsScripted(
    system,
    prepared.script,
    sent.untilMs,
    settleTimeoutMs,
  );
  await spectator.untilQuiet(quietMs);
  const ends = await Promise.all([system.gateway.stop(), system.processor.stop()]);
  const outcome = {
    sent: sent.tally.counts,
    counted,
    received: spectator.received,
    latencies: spectator.latencies,
  };
  const badEnds = ends
    .filter(({ code }) => code !== 0)
    .map((end) => `a service ended with ${describeExit(end)}`);
  return {
    results,
    summary: summarise(outcome),
    problems: [...findProblems(outcome), ...differences, ...badEnds],
  };
}

interface Sent {
  readonly tally: Tally;
  /** When the last record was due. */
  readonly untilMs: number;
}

interface Running extends PreparedRace {
  readonly args: DemoArguments;
  readonly screen: Screen;
  readonly stop: AbortSignal;
  readonly system: System;
  readonly spectator: Spectator;
}

/** Sends the race and shows the progress. */
async function run(running: Running): Promise<Sent> {
  const { screen, stop, system, spectator, entries, records } = running;
  const { durationMs } = running.args;
  const over = new AbortController();
  // The duration begins once all records are sent that were due before.
  const beganAtMs = Date.now();
  let liveSinceMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  const signal = AbortSignal.any([stop, over.signal]);
  const redis = new Redis(system.redisUrl, { retryStrategy: null });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  using view = createView({ screen, startedAtMs: () => liveSinceMs, durationMs, entries });

  const tally = new Tally();
  let untilMs = running.startAtMs;
  function* notingTheLast(): Generator<TimedRecord> {
    for (const timed of records) {
      untilMs = timed.sendAtMs;
      if (untilMs >= beganAtMs && liveSinceMs === undefined) {
        liveSinceMs = Date.now();
        if (durationMs !== undefined) timer = setTimeout(() => over.abort(), durationMs);
      }
      yield timed;
    }
  }
  try {
    const feeding = feed({ redis, stream: system.stream, records: notingTheLast(), signal, tally });
    await Promise.all([
      feeding,
      showUntil(feeding, async () => view.show(await readProgress(system, tally, spectator))),
    ]);
    return { tally, untilMs };
  } catch (error) {
    throw lastError ?? error;
  } finally {
    clearTimeout(timer);
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
