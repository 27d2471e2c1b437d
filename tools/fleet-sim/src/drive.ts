import { between, type Random } from './random.ts';
import { grip, type Stage } from './stage.ts';

/** Where a vehicle truly is, before any tracker has looked. */
export interface Motion {
  readonly eastM: number;
  readonly northM: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly speedMps: number;
  /** Driven since the start. */
  readonly odometerM: number;
}

export interface DriveOptions {
  readonly random: Random;
  readonly stage: Stage;
  /** The place on the road where the vehicle waits; negative is before the line. */
  readonly waitingAtM: number;
  /** Seconds that it waits. */
  readonly waitS: number;
}

const stepsPerS = 10;

/**
 * One vehicle's way round the stage, a Motion for every second: it waits for its
 * start, accelerates, keeps below what each curve allows, and never stops.
 */
export function* drive({ random, stage, waitingAtM, waitS }: DriveOptions): Generator<Motion, never> {
  // A driver's share of what the road allows, and of what the engine gives.
  const pace = between(random, 0.82, 1);
  let speedMps = 0;
  let placeM = waitingAtM;

  for (let second = 0; ; second += 1) {
    const { eastM, northM, altitudeM, courseDeg } = stage.at(placeM);
    yield { eastM, northM, altitudeM, courseDeg, speedMps, odometerM: placeM - waitingAtM };

    if (second < waitS) continue;
    for (let step = 0; step < stepsPerS; step += 1) {
      const wishedMps = speedMps + (pace * grip.acceleratingMps2) / stepsPerS;
      const allowedMps = pace * stage.at(placeM + speedMps / stepsPerS).limitMps;
      speedMps = Math.min(wishedMps, allowedMps);
      placeM += speedMps / stepsPerS;
    }
  }
}
