import { corrupt, corruptionKinds, type TimedBadRecord } from '@app/fleet-sim/corrupt-record';
import { race, raceImeis } from '@app/fleet-sim/race';
import type { TimedRecord } from '@app/fleet-sim/timed-record';

export interface BigRace {
  readonly imeis: readonly string[];
  readonly sendings: readonly (TimedRecord | TimedBadRecord)[];
  readonly good: readonly TimedRecord[];
  readonly bad: readonly TimedBadRecord[];
}

export interface BigRaceOptions {
  readonly records: number;
  /** The share of garbage, the same of each kind. */
  readonly badShare: number;
  readonly seed: number;
}

const vehicles = 100;

/**
 * The records of a race that has just ended, with duplicates and disorder, and with broken records spread evenly among
 * them. Each broken one was a different valid record, so no two are equal.
 */
export function makeBigRace({ records, badShare, seed }: BigRaceOptions): BigRace {
  const badEvery = Math.round(1 / badShare);
  const startAtMs = Math.floor(Date.now() / 1_000) * 1_000 - (records / vehicles) * 1_200;
  const trouble = { duplicateChance: 0.05, holeChance: 1 / 100, slowClocks: 1 };
  const sendings: (TimedRecord | TimedBadRecord)[] = [];
  for (const sending of race({ seed, vehicles, startAtMs, startIntervalMs: 500, trouble })) {
    const { sendAtMs, record } = sending;
    const index = sendings.length;
    const isBad = index % badEvery === badEvery - 1;
    sendings.push(
      isBad ? { sendAtMs, bad: corrupt(record, Math.floor(index / badEvery) % corruptionKinds) } : sending,
    );
    if (sendings.length === records) break;
  }
  return {
    imeis: raceImeis({ seed, vehicles }),
    sendings,
    good: sendings.filter((sending) => 'record' in sending),
    bad: sendings.filter((sending) => 'bad' in sending),
  };
}
