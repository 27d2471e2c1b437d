import type { Codec } from '@app/shared/position';
import { circuit } from './circuit.ts';
import { drive } from './drive.ts';
import { testImei } from './imei.ts';
import { createRandom } from './random.ts';
import { buildRoad } from './road.ts';
import type { TimedRecord } from './timed-record.ts';
import { Tracker } from './tracker.ts';
import { ordinaryTrouble, type Trouble } from './trouble.ts';

export interface RaceOptions {
  /** The same seed gives the same race, byte for byte. */
  readonly seed: number;
  readonly vehicles: number;
  /** The first vehicle's start; every tracker reports from then on. */
  readonly startAtMs: number;
  /** Time between two starts. Default 10 s. */
  readonly startIntervalMs?: number;
  /** Nothing is sent at or after `startAtMs + durationMs`. Default: the race never ends. */
  readonly durationMs?: number;
  readonly trouble?: Partial<Trouble>;
}

const queueSpacingM = 9;
/** How far behind the clock of a receiver is whose GPS week counter (10 bits) rolled over. */
const weekRolloverMs = 1024 * 7 * 86_400_000;

/**
 * Simulates the records that the trackers of a rally send. Vehicles queue, start at intervals and drive laps, with one
 * fix per second. Yields in the order of sending, which differs from the order of the fixes.
 */
export function* race(options: RaceOptions): Generator<TimedRecord> {
  const { startAtMs, durationMs = Infinity } = options;
  const vehicles = createVehicles(options);
  let waiting: TimedRecord[] = [];

  for (let atMs = startAtMs; atMs < startAtMs + durationMs; atMs += 1000) {
    for (const { motions, tracker } of vehicles) waiting.push(...tracker.observe(atMs, motions.next().value));

    // Records due within this second; others wait. The sort is stable.
    const endMs = Math.min(atMs + 1000, startAtMs + durationMs);
    const due = waiting.filter(({ sendAtMs }) => sendAtMs < endMs);
    waiting = waiting.filter(({ sendAtMs }) => sendAtMs >= endMs);
    yield* due.toSorted((a, b) => a.sendAtMs - b.sendAtMs);
  }
}

/** IMEIs of the vehicles, in starting order. */
export function raceImeis({ seed, vehicles }: Pick<RaceOptions, 'seed' | 'vehicles'>): readonly string[] {
  return Array.from({ length: vehicles }, (_, index) => testImei(Math.abs(Math.trunc(seed)), index + 1));
}

function createVehicles({ seed, vehicles, startIntervalMs = 10_000, trouble }: RaceOptions) {
  const allTrouble = { ...ordinaryTrouble, ...trouble };
  const road = buildRoad(circuit);

  return raceImeis({ seed, vehicles }).map((imei, index) => {
    const motions = drive({
      random: createRandom(seed, index),
      road,
      waitingAtM: -queueSpacingM * (index + 1),
      waitS: Math.ceil((index * startIntervalMs) / 1000),
    });
    const tracker = new Tracker({
      // A separate sequence, so that tracker faults do not change how the vehicle drives.
      random: createRandom(seed, index, 1),
      imei,
      codec: pickCodec(index),
      origin: road.origin,
      trouble: allTrouble,
      clockErrorMs: index < allTrouble.slowClocks ? -weekRolloverMs : 0,
    });
    return { motions, tracker };
  });
}

/** Of ten trackers eight use codec 8E, one 8 and one 16. */
function pickCodec(index: number): Codec {
  if (index % 10 === 3) return '8';
  return index % 10 === 7 ? '16' : '8E';
}
