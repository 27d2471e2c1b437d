import type { Codec, Position } from '@app/shared/position';
import type { Motion } from './drive.ts';
import { between, gaussian, wholeBetween, type Random } from './random.ts';
import type { RoadPlan } from './road.ts';
import { createSensors, type Sensors } from './sensors.ts';
import type { TimedRecord } from './timed-record.ts';
import { toDegrees } from './to-degrees.ts';
import type { Trouble } from './trouble.ts';

export interface TrackerOptions {
  readonly random: Random;
  readonly imei: string;
  readonly codec: Codec;
  readonly origin: RoadPlan['origin'];
  readonly trouble: Trouble;
  /** Added to every fix time. */
  readonly clockErrorMs: number;
}

/** A vehicle's tracker: records one fix per second and simulates its faults. */
export class Tracker {
  readonly #options: TrackerOptions;
  readonly #readSensors: Sensors;
  /** Recorded while offline, oldest first. Panic records are sent before them. */
  #backlog: Position[] = [];
  #panics: Position[] = [];
  #offlineUntilMs = 0;
  #blindUntilMs = 0;
  #downUntilMs = 0;
  #searchUntilMs = 0;
  #driftEastM = 0;
  #driftNorthM = 0;
  /** After a reboot a tracker reports 0/0 until its first fix. */
  #lastValid = { latitude: 0, longitude: 0, altitudeM: 0 };

  constructor(options: TrackerOptions) {
    this.#options = options;
    this.#readSensors = createSensors(options.random, options.codec);
  }

  /** From now on what it records is kept until then, and sent afterwards. */
  loseNetwork(untilMs: number): void {
    this.#offlineUntilMs = untilMs;
  }

  /**
   * Advances by one second; returns the records to send.
   *
   * @param isPanic whether the panic button is pressed within this second, besides the random ones
   */
  observe(atMs: number, motion: Motion, isPanic = false): readonly TimedRecord[] {
    const { random, trouble } = this.#options;
    this.#updateTrouble(atMs);
    if (atMs < this.#downUntilMs) return [];

    const fix = this.#fix(atMs, motion, false);
    const panic =
      random() < trouble.panicChance || isPanic
        ? this.#fix(trouble.isPanicSameTime ? atMs : atMs + wholeBetween(random, 1, 900), motion, true)
        : undefined;
    if (atMs < this.#offlineUntilMs) {
      this.#backlog.push(fix);
      if (panic !== undefined) this.#panics.push(panic);
      return [];
    }

    const pending = [
      ...this.#panics,
      ...(panic === undefined ? [] : [panic]),
      fix,
      ...this.#backlog.toReversed(),
    ];
    this.#panics = [];
    this.#backlog = [];
    // A panic record cannot be sent before the button was pressed.
    const pressedMs = panic === undefined ? atMs : panic.fixAtMs - this.#options.clockErrorMs;
    return this.#send(pending, pressedMs + wholeBetween(random, 15, 90));
  }

  #updateTrouble(atMs: number): void {
    const { random, trouble } = this.#options;
    // Always draw all values, so that the chance of one fault does not shift the times of others.
    const [hole, blind, reboot] = [random(), random(), random()];
    const [holeMs, blindMs, bootMs, searchMs] = [
      trouble.holeS,
      trouble.blindS,
      trouble.bootS,
      trouble.searchS,
    ].map(([shortest, longest]) => 1000 * wholeBetween(random, shortest, longest));
    if (hole < trouble.holeChance && atMs >= this.#offlineUntilMs)
      this.#offlineUntilMs = atMs + (holeMs ?? 0);
    if (blind < trouble.blindChance && atMs >= this.#blindUntilMs) this.#blindUntilMs = atMs + (blindMs ?? 0);
    if (reboot < trouble.rebootChance && atMs >= this.#searchUntilMs) {
      this.#downUntilMs = atMs + (bootMs ?? 0);
      this.#searchUntilMs = this.#downUntilMs + (searchMs ?? 0);
      this.#lastValid = { latitude: 0, longitude: 0, altitudeM: 0 };
    }
  }

  #fix(atMs: number, motion: Motion, isPanic: boolean): Position {
    const { random, imei, clockErrorMs } = this.#options;
    const seesSky = atMs >= this.#blindUntilMs && atMs >= this.#searchUntilMs;
    const satellites = seesSky ? wholeBetween(random, 7, 17) : 0;
    if (seesSky) this.#lastValid = this.#locate(motion);
    return {
      deviceId: imei,
      fixAtMs: atMs + clockErrorMs,
      ...this.#lastValid,
      courseDeg: seesSky ? Math.round(motion.courseDeg) % 360 : 0,
      speedKmh: seesSky ? Math.round(motion.speedMps * 3.6) : 0,
      satellites,
      priority: isPanic ? 2 : 0,
      attributes: this.#readSensors({ motion, isStarted: motion.odometerM > 0, satellites, isPanic }),
    };
  }

  /** Adds the error of a GPS receiver: slow drift and little noise. */
  #locate(motion: Motion): { latitude: number; longitude: number; altitudeM: number } {
    const { random, origin } = this.#options;
    this.#driftEastM = 0.97 * this.#driftEastM + 0.4 * gaussian(random);
    this.#driftNorthM = 0.97 * this.#driftNorthM + 0.4 * gaussian(random);
    const eastM = motion.eastM + this.#driftEastM + 0.3 * gaussian(random);
    const northM = motion.northM + this.#driftNorthM + 0.3 * gaussian(random);
    return {
      ...toDegrees(origin, eastM, northM),
      // A tracker sends whole metres.
      altitudeM: Math.round(motion.altitudeM + 2 * gaussian(random)),
    };
  }

  #send(positions: readonly Position[], firstAtMs: number): TimedRecord[] {
    const { random, trouble, codec } = this.#options;
    let sendAtMs = firstAtMs;
    return positions.flatMap((position) => {
      const record = { position, codec };
      const records: TimedRecord[] = [{ sendAtMs, record }];
      if (random() < trouble.duplicateChance) {
        records.push({ sendAtMs: sendAtMs + Math.round(between(random, 200, 4_000)), record });
      }
      sendAtMs += wholeBetween(random, 2, 8);
      return records;
    });
  }
}
