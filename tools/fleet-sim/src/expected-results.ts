import { buildCourse } from './course.ts';
import { circuit } from './circuit.ts';
import type { Motion } from './drive.ts';
import type { Incident } from './incidents.ts';
import { driveOf, incidentOf, type RaceOptions } from './race.ts';
import { buildRoad, grip } from './road.ts';

/** Results as far as they follow from the script of a race: its incidents, and where each vehicle drove. */
export interface RaceSummary {
  /** How many gates each entry passed on each stage, by number and stage: `7 SS 1`. None if it passed none. */
  readonly gatesPassed: ReadonlyMap<string, number>;
  readonly incidents: readonly RaceIncident[];
}

export interface RaceIncident {
  readonly number: string;
  readonly kind: NonNullable<Incident['expected']>['kind'];
  /** The stage and, if it is about one, the waypoint or zone. */
  readonly at: string;
}

/** The newest records may be on their way, and a fix may be off by a few metres. */
const toleranceS = 3;
/** What a tracker recorded during an outage is sent within this time. */
const uploadS = 3;

/**
 * How results differ from what the script says: one sentence each. Gates are compared until an entry's second lap, and not
 * while its tracker sends what it recorded during an outage.
 *
 * @param untilMs records sent before this are in the results, and none sent later
 */
export function findDifferences(
  options: RaceOptions,
  untilMs: number,
  { gatesPassed, incidents }: RaceSummary,
): readonly string[] {
  const differences: string[] = [];
  const seconds = Math.floor((untilMs - options.startAtMs) / 1000);
  for (let index = 0; index < options.vehicles; index += 1) {
    const number = String(index + 1);
    const incident = incidentOf(options, index);
    const driven = firstLap(options, index, seconds);
    const knownS = knownUntil(driven, incident, seconds);
    if (knownS === undefined) continue;

    differences.push(...compareGates(number, driven, knownS, gatesPassed));
    const found = incidents.filter((one) => one.number === number);
    differences.push(...compareIncidents(number, driven, knownS, incident?.expected, found));
  }
  return differences;
}

/** A vehicle's motion for each second of the race until its second lap, or until `seconds`. */
function firstLap(options: RaceOptions, index: number, seconds: number): readonly Motion[] {
  const driven: Motion[] = [];
  for (const motion of driveOf(options, index)) {
    driven.push(motion);
    if (driven.length > seconds || motion.offsetM > lapM) break;
  }
  return driven;
}

/** The second until which records of the vehicle have arrived; undefined while a backlog is being sent. */
function knownUntil(
  driven: readonly Motion[],
  incident: Incident | undefined,
  seconds: number,
): number | undefined {
  if (incident?.outage === undefined) return seconds;
  const { fromM, forS } = incident.outage;
  const lostAtS = firstAt(driven, fromM);
  if (lostAtS > seconds) return seconds;
  if (seconds < lostAtS + forS) return lostAtS;
  return seconds > lostAtS + forS + uploadS ? seconds : undefined;
}

function compareGates(
  number: string,
  driven: readonly Motion[],
  knownS: number,
  gatesPassed: RaceSummary['gatesPassed'],
): readonly string[] {
  const known = driven[knownS];
  if (known === undefined || known.offsetM > lapM) return [];
  const leastM = driven[Math.max(0, knownS - toleranceS)]?.offsetM ?? 0;
  const mostM = known.offsetM + grip.topMps;
  return gatePlaces.flatMap(({ stage, placesM }) => {
    const passed = gatesPassed.get(`${number} ${stage}`) ?? 0;
    const [least, most] = [leastM, mostM].map((offsetM) => placesM.filter((gateM) => gateM < offsetM).length);
    if (passed >= (least ?? 0) && passed <= (most ?? 0)) return [];
    return [`No. ${number} has ${passed} passings of gates on ${stage}, not ${least} to ${most}`];
  });
}

function compareIncidents(
  number: string,
  driven: readonly Motion[],
  knownS: number,
  expected: Incident['expected'],
  found: readonly RaceIncident[],
): readonly string[] {
  const isMeant = (one: RaceIncident) => one.kind === expected?.kind && one.at === expected.at;
  const differences = found
    .filter((one) => !isMeant(one))
    .map(({ kind, at }) => `No. ${number} should have no ${kind} ${at}`.trimEnd());
  const count = found.filter(isMeant).length;
  if (expected === undefined) return differences;
  const { kind, at, afterM, afterS = 0 } = expected;
  const dueAtS = firstAt(driven, afterM) + afterS + toleranceS;
  if (count > 1 || (count === 0 && knownS >= dueAtS)) {
    differences.push(`No. ${number} should have one ${kind} ${at}`.trimEnd() + `, not ${count}`);
  }
  return differences;
}

function firstAt(driven: readonly Motion[], placeM: number): number {
  const second = driven.findIndex(({ offsetM }) => offsetM >= placeM);
  return second === -1 ? Infinity : second;
}

const lapM = buildRoad(circuit).lengthM;
const gatePlaces = buildCourse().map(({ name, gates }) => ({
  stage: name,
  placesM: gates.map(({ offsetM }) => offsetM),
}));
