import type { Attributes, AttributeValue, Codec } from '@app/shared/position';
import type { Motion } from './drive.ts';
import { between, gaussian, wholeBetween, type Random } from './random.ts';

/** Reads a vehicle's inputs and the sensors of its tracker, as attributes. */
export type Sensors = (reading: SensorInput) => Attributes;

export interface SensorInput {
  readonly motion: Motion;
  readonly isStarted: boolean;
  readonly satellites: number;
  readonly isPanic: boolean;
}

/**
 * Attributes under the IO element ids of Teltonika's FMB and FMC trackers: mostly small integers, two 64-bit ids, a
 * boolean, and for codec 8E, which has elements of variable length, a string and bytes.
 */
export function createSensors(random: Random, codec: Codec): Sensors {
  const initialOdometerM = wholeBetween(random, 2_000_000, 90_000_000);
  const fuelL = between(random, 45, 70);
  const simCard = 8_935_801_000_000_000_000n + BigInt(wholeBetween(random, 0, 999_999_999));
  // An iButton id has 64 bits, more than a JSON number can hold.
  const driver = (BigInt(wholeBetween(random, 0x80000000, 0xffffffff)) << 32n) | 0x0000_1201n;
  const chassis = `SIM${String(wholeBetween(random, 0, 99_999_999_999_999)).padStart(14, '0')}`;
  const beacons = Uint8Array.from({ length: 21 }, () => wholeBetween(random, 0, 255));
  const hasAxes = random() < 0.5;

  return ({ motion, isStarted, satellites, isPanic }) => {
    const speedKmh = Math.round(motion.speedMps * 3.6);
    const attributes: Record<string, AttributeValue> = {
      1: isPanic, // digital input 1: the panic button
      11: simCard, // ICCID
      16: initialOdometerM + Math.round(motion.odometerM), // total odometer, m
      21: wholeBetween(random, 2, 5), // GSM signal, 1..5
      24: speedKmh,
      66: Math.round((isStarted ? 14_100 : 12_500) + 60 * gaussian(random)), // external voltage, mV
      67: wholeBetween(random, 3_950, 4_120), // battery voltage, mV
      69: satellites > 0 ? 1 : 2, // GNSS status: fix, on without fix
      78: driver, // iButton
      80: isStarted ? 1 : 0, // data mode: home on move, home on stop
      84: Math.max(0, Math.round(10 * (fuelL - (motion.odometerM / 1000) * 0.4))), // fuel level, 0.1 l
      181: satellites > 0 ? wholeBetween(random, 9, 22) : 0, // PDOP × 10
      182: satellites > 0 ? wholeBetween(random, 6, 14) : 0, // HDOP × 10
      239: 1, // ignition
      240: speedKmh > 0 ? 1 : 0, // movement
      241: 24_405, // GSM operator
    };
    if (hasAxes) {
      attributes['17'] = wholeBetween(random, -90, 90); // axis X, mG
      attributes['18'] = wholeBetween(random, -90, 90); // axis Y, mG
    }
    if (codec === '8E') {
      attributes['256'] = chassis; // VIN
      attributes['385'] = beacons; // beacons in reach
    }
    return attributes;
  };
}
