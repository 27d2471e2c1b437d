import { between, type Random } from './random.ts';
import { grip, type Road } from './road.ts';

/** A vehicle's true motion, without the errors of its tracker. */
export interface Motion {
  readonly eastM: number;
  readonly northM: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly speedMps: number;
  readonly odometerM: number;
}

export interface DriveOptions {
  readonly random: Random;
  readonly road: Road;
  /** Distance along the road at which the vehicle waits; negative is before the start line. */
  readonly waitingAtM: number;
  readonly waitS: number;
}

const stepsPerS = 10;

/** Yields a vehicle's motion for every second: it waits, accelerates, keeps to each curve's speed limit and never stops. */
export function* drive({ random, road, waitingAtM, waitS }: DriveOptions): Generator<Motion, never> {
  // The driver uses this share of the speed limit and of the acceleration.
  const pace = between(random, 0.82, 1);
  let speedMps = 0;
  let offsetM = waitingAtM;

  for (let second = 0; ; second += 1) {
    const { eastM, northM, altitudeM, courseDeg } = road.at(offsetM);
    yield { eastM, northM, altitudeM, courseDeg, speedMps, odometerM: offsetM - waitingAtM };

    if (second < waitS) continue;
    for (let step = 0; step < stepsPerS; step += 1) {
      const acceleratedMps = speedMps + (pace * grip.acceleratingMps2) / stepsPerS;
      const allowedMps = pace * road.at(offsetM + speedMps / stepsPerS).limitMps;
      speedMps = Math.min(acceleratedMps, allowedMps);
      offsetM += speedMps / stepsPerS;
    }
  }
}
