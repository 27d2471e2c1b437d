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
  /** Distance along the road from the start line, over all laps. */
  readonly offsetM: number;
}

export interface DriveOptions {
  readonly random: Random;
  readonly road: Road;
  /** Distance along the road at which the vehicle waits; negative is before the start line. */
  readonly waitingAtM: number;
  readonly waitS: number;
  /** Where the vehicle stops on its way, and for how long. */
  readonly stop?: { readonly atM: number; readonly forS: number };
}

const stepsPerS = 10;
/** A vehicle that has come this near to where it stops, stands. */
const stoppedWithinM = 1;

/** Yields a vehicle's motion for every second: it waits, accelerates, keeps to each curve's speed limit, and stops only where it is told to. */
export function* drive({ random, road, waitingAtM, waitS, stop }: DriveOptions): Generator<Motion, never> {
  // The driver uses this share of the speed limit and of the acceleration.
  const pace = between(random, 0.82, 1);
  let speedMps = 0;
  let offsetM = waitingAtM;
  let setsOffAtS = waitS;
  let nextStop = stop;

  for (let second = 0; ; second += 1) {
    const { eastM, northM, altitudeM, courseDeg } = road.at(offsetM);
    yield { eastM, northM, altitudeM, courseDeg, speedMps, odometerM: offsetM - waitingAtM, offsetM };

    if (second < setsOffAtS) continue;
    for (let step = 0; step < stepsPerS; step += 1) {
      const acceleratedMps = speedMps + (pace * grip.acceleratingMps2) / stepsPerS;
      const allowedMps = pace * road.at(offsetM + speedMps / stepsPerS).limitMps;
      speedMps = Math.min(acceleratedMps, allowedMps, brakingMps(nextStop, offsetM));
      offsetM += speedMps / stepsPerS;
    }
    if (nextStop !== undefined && offsetM > nextStop.atM - stoppedWithinM) {
      speedMps = 0;
      setsOffAtS = second + 1 + nextStop.forS;
      nextStop = undefined;
    }
  }
}

/** The speed from which a vehicle can brake before it is where it stops. */
function brakingMps(stop: DriveOptions['stop'], offsetM: number): number {
  return stop === undefined ? Infinity : Math.sqrt(2 * grip.brakingMps2 * Math.max(0, stop.atM - offsetM));
}
