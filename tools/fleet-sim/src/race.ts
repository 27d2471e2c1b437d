import type { Codec } from '@app/shared/position';
import { circuit } from './circuit.ts';
import { drive } from './drive.ts';
import { testImei } from './imei.ts';
import { createRandom } from './random.ts';
import { drawStage } from './stage.ts';
import { Tracker, type Sending } from './tracker.ts';
import { ordinaryTrouble, type Trouble } from './trouble.ts';

export type { Sending } from './tracker.ts';

export interface RaceOptions {
  /** The same seed gives the same race, byte for byte. */
  readonly seed: number;
  readonly vehicles: number;
  /** The first vehicle's start; every tracker reports from then on. */
  readonly startAtMs: number;
  /** Between two vehicles' starts. Default 10 s. */
  readonly startIntervalMs?: number;
  /** Nothing is sent at or after `startAtMs` + this. Default: the race never ends. */
  readonly durationMs?: number;
  readonly trouble?: Partial<Trouble>;
}

const queueSpacingM = 9;
/** Of GPS week 1024: a receiver whose week counter rolled over is this slow. */
const weekRolloverMs = 1024 * 7 * 86_400_000;

/**
 * A rally on a drawn stage, as its trackers send it: vehicles wait in a queue,
 * start in intervals and go round and round, a fix a second each. In sending
 * order, which is not the order of the fixes.
 */
export function* race(options: RaceOptions): Generator<Sending> {
  const { startAtMs, durationMs = Infinity } = options;
  const vehicles = lineUp(options);
  let waiting: Sending[] = [];

  for (let atMs = startAtMs; atMs < startAtMs + durationMs; atMs += 1000) {
    for (const { motions, tracker } of vehicles) waiting.push(...tracker.observe(atMs, motions.next().value));

    // What is sent within this second; a record sent again later stays. The sort is stable.
    const endMs = Math.min(atMs + 1000, startAtMs + durationMs);
    const due = waiting.filter(({ sendAtMs }) => sendAtMs < endMs);
    waiting = waiting.filter(({ sendAtMs }) => sendAtMs >= endMs);
    yield* due.toSorted((a, b) => a.sendAtMs - b.sendAtMs);
  }
}

/** The IMEIs of a race's vehicles, in starting order. */
export function raceImeis({ seed, vehicles }: Pick<RaceOptions, 'seed' | 'vehicles'>): readonly string[] {
  return Array.from({ length: vehicles }, (_, index) => testImei(Math.abs(Math.trunc(seed)), index + 1));
}

function lineUp({ seed, vehicles, startIntervalMs = 10_000, trouble }: RaceOptions) {
  const troubleMet = { ...ordinaryTrouble, ...trouble };
  const stage = drawStage(circuit);

  return raceImeis({ seed, vehicles }).map((imei, index) => {
    const motions = drive({
      random: createRandom(seed, index),
      stage,
      waitingAtM: -queueSpacingM * (index + 1),
      waitS: Math.ceil((index * startIntervalMs) / 1000),
    });
    const tracker = new Tracker({
      // A sequence of its own: how the vehicle drives does not hang on what its tracker meets.
      random: createRandom(seed, index, 1),
      imei,
      codec: pickCodec(index),
      origin: stage.origin,
      trouble: troubleMet,
      clockErrorMs: index < troubleMet.slowClocks ? -weekRolloverMs : 0,
    });
    return { motions, tracker };
  });
}

/** Most trackers are of a family that speaks 8E; of ten vehicles one speaks 8 and one 16. */
function pickCodec(index: number): Codec {
  if (index % 10 === 3) return '8';
  return index % 10 === 7 ? '16' : '8E';
}
