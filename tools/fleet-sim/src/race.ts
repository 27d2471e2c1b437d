import type { Codec } from '@app/shared/position';
import { circuit } from './circuit.ts';
import { drive, type Motion } from './drive.ts';
import { testImei } from './imei.ts';
import { incidents, type Incident } from './incidents.ts';
import { createRandom } from './random.ts';
import { buildRoad } from './road.ts';
import type { TimedRecord } from './timed-record.ts';
import { Tracker } from './tracker.ts';
import { duplicatesOnly, ordinaryTrouble, type Trouble } from './trouble.ts';

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
  /** Whether the scripted incidents happen, and nothing else that changes results. */
  readonly hasIncidents?: boolean;
  readonly trouble?: Partial<Trouble>;
}

type Fleet = Pick<RaceOptions, 'seed' | 'vehicles' | 'hasIncidents'>;

const queueSpacingM = 9;
/** The queue must end before the finish of the last stage; more vehicles wait beside these. */
const queueLength = 60;
/** Second trackers are numbered from here. */
const secondTrackers = 500_000;
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
    for (const { observe } of vehicles) waiting.push(...observe(atMs));

    // Records due within this second; others wait. The sort is stable.
    const endMs = Math.min(atMs + 1000, startAtMs + durationMs);
    const due = waiting.filter(({ sendAtMs }) => sendAtMs < endMs);
    waiting = waiting.filter(({ sendAtMs }) => sendAtMs >= endMs);
    yield* due.toSorted((a, b) => a.sendAtMs - b.sendAtMs);
  }
}

/** IMEIs of the vehicles' first trackers, in starting order. */
export function raceImeis({ seed, vehicles }: Fleet): readonly string[] {
  return Array.from({ length: vehicles }, (_, index) => testImei(fleetNumber(seed), index + 1));
}

/** IMEIs of each vehicle's trackers, in starting order. */
export function raceTrackers(fleet: Fleet): readonly (readonly string[])[] {
  return raceImeis(fleet).map((imei, index) => {
    const hasSecond = incidentOf(fleet, index)?.secondClockErrorMs !== undefined;
    return hasSecond ? [imei, secondImei(fleet, index)] : [imei];
  });
}

/** The incident of the vehicle that starts as number `index + 1`. */
export function incidentOf({ hasIncidents = false }: Fleet, index: number): Incident | undefined {
  return hasIncidents ? incidents.find(({ number }) => number === index + 1) : undefined;
}

/** The motion of a vehicle, one for each second since the start of the race. */
export function driveOf(options: RaceOptions, index: number): Generator<Motion, never> {
  const { seed, startIntervalMs = 10_000 } = options;
  const { plan = circuit, stop } = incidentOf(options, index) ?? {};
  return drive({
    random: createRandom(seed, index),
    road: plan === circuit ? circuitRoad : buildRoad(plan),
    waitingAtM: -queueSpacingM * ((index % queueLength) + 1),
    waitS: Math.ceil((index * startIntervalMs) / 1000),
    ...(stop === undefined ? {} : { stop }),
  });
}

const circuitRoad = buildRoad(circuit);

function createVehicles(options: RaceOptions) {
  const { seed, hasIncidents = false } = options;
  const trouble = { ...(hasIncidents ? duplicatesOnly : ordinaryTrouble), ...options.trouble };

  return raceImeis(options).map((imei, index) => {
    const incident = incidentOf(options, index);
    const motions = driveOf(options, index);
    const common = { origin: circuit.origin, trouble, codec: pickCodec(index) };
    const tracker = new Tracker({
      ...common,
      // A separate sequence, so that tracker faults do not change how the vehicle drives.
      random: createRandom(seed, index, 1),
      imei,
      clockErrorMs: index < trouble.slowClocks ? -weekRolloverMs : 0,
    });
    const second =
      incident?.secondClockErrorMs === undefined
        ? undefined
        : new Tracker({
            ...common,
            random: createRandom(seed, index, 2),
            imei: secondImei(options, index),
            clockErrorMs: incident.secondClockErrorMs,
          });

    let beforeM = -Infinity;
    return {
      observe: (atMs: number): readonly TimedRecord[] => {
        const motion = motions.next().value;
        const hasReached = (placeM: number | undefined) =>
          placeM !== undefined && beforeM < placeM && motion.offsetM >= placeM;
        const outage = incident?.outage;
        if (outage && hasReached(outage.fromM)) tracker.loseNetwork(atMs + 1000 * outage.forS);
        const records = tracker.observe(atMs, motion, hasReached(incident?.panicAtM));
        beforeM = motion.offsetM;
        return [...records, ...(second?.observe(atMs, motion) ?? [])];
      },
    };
  });
}

function fleetNumber(seed: number): number {
  return Math.abs(Math.trunc(seed));
}

function secondImei({ seed }: Fleet, index: number): string {
  return testImei(fleetNumber(seed), secondTrackers + index + 1);
}

/** Of ten trackers eight use codec 8E, one 8 and one 16. */
function pickCodec(index: number): Codec {
  if (index % 10 === 3) return '8';
  return index % 10 === 7 ? '16' : '8E';
}
