import { race, raceTrackers, type RaceOptions } from '@app/fleet-sim/race';
import { replayTracks } from '@app/fleet-sim/replay-tracks';
import { startList, type StartListEntry } from '@app/fleet-sim/start-list';
import type { TimedRecord } from '@app/fleet-sim/timed-record';
import type { DemoArguments } from './read-arguments.ts';

export interface PreparedRace {
  readonly entries: readonly StartListEntry[];
  readonly startAtMs: number;
  readonly records: Iterable<TimedRecord>;
  /** Of a simulated race. */
  readonly script?: RaceOptions;
}

/** A simulated race with incidents, or recorded flights. */
export async function prepareRace({
  vehicles,
  seed,
  startedMs,
  isReplay,
}: DemoArguments): Promise<PreparedRace> {
  if (isReplay) {
    const startAtMs = wholeSecond(Date.now());
    const { imeis, records } = await replayTracks({ startAtMs, vehicles });
    const trackers = imeis.map((imei) => [imei]);
    return { entries: startList(trackers, 0), startAtMs, records };
  }
  const script: RaceOptions = {
    seed,
    vehicles,
    // Some entries have finished a stage and most are moving, so that each incident happens soon.
    startAtMs: wholeSecond(Date.now() - startedMs),
    startIntervalMs: Math.min(2_000, 100_000 / vehicles),
    hasIncidents: true,
  };
  const { startAtMs, startIntervalMs = 0 } = script;
  const entries = startList(raceTrackers(script), startIntervalMs);
  return { entries, startAtMs, records: race(script), script };
}

/** Like GPS fixes. */
function wholeSecond(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}
