import { randomUUID } from 'node:crypto';
import { between, createRandom, gaussian } from '@app/fleet-sim/random';
import { metresPerDegreeEast, metresPerDegreeNorth } from '@app/geometry/plane-coordinates';
import type { Race } from '@app/race/course';
import type { Fix } from '@app/race/fix';
import { entered } from './entered.ts';

/** A point of the road, and the direction to the next. */
interface RoadPoint {
  readonly latitude: number;
  readonly longitude: number;
  readonly radians: number;
}

export interface LongRace {
  readonly race: Race;
  /** The vehicle's drive from the start to the finish, a fix a second. */
  readonly drive: (vehicle: number) => Generator<Fix>;
}

const startAtMs = Date.UTC(2026, 6, 1, 6);
const stepM = 100;
const meanMps = 15;
const [gateCount, waypointCount, zoneCount] = [30, 20, 5];

/** One winding stage that takes so many hours at 54 km/h, with 30 gates, 20 waypoints and 5 speed zones. */
export function longRace(entries: number, hours: number): LongRace {
  const seconds = hours * 3600;
  const road = buildRoad((seconds * meanMps) / stepM);
  const imeis = Array.from({ length: entries }, (_, index) => String(356_000_000_000_000 + index));
  const stageId = randomUUID();
  const at = (share: number): RoadPoint => road[Math.round(share * (road.length - 2))] ?? startPoint;
  const race: Race = {
    ...entered(imeis, startAtMs),
    stages: [
      {
        id: stageId,
        name: 'SS 1',
        order: 1,
        kind: 'special',
        line: road.map(positionOf),
        startAtMs,
        startIntervalS: 0,
        startBy: 'gate',
        timeLimitS: undefined,
      },
    ],
    gates: Array.from({ length: gateCount }, (_, n) => {
      const point = at(n / (gateCount - 1));
      const kind = n === 0 ? 'start' : n === gateCount - 1 ? 'finish' : 'split';
      return {
        id: randomUUID(),
        stageId,
        name: `Gate ${n + 1}`,
        order: n + 1,
        kind,
        left: beside(point, -20),
        right: beside(point, 20),
        direction: 'forward',
        deadTimeS: 10,
        crossing: n === 0 ? 'last' : 'first',
      };
    }),
    waypoints: Array.from({ length: waypointCount }, (_, n) => ({
      id: randomUUID(),
      stageId,
      name: `WP ${n + 1}`,
      order: n + 1,
      kind: 'visible',
      isAnyOrder: false,
      position: at((n + 0.5) / waypointCount),
      radiusM: 50,
      missedPenaltyS: 60,
    })),
    zones: Array.from({ length: zoneCount }, (_, n) => {
      const from = Math.round(((n + 0.3) / zoneCount) * road.length);
      const part = road.slice(from, from + 8);
      const sides = [
        part.map((point) => beside(point, -30)),
        part.map((point) => beside(point, 30)).toReversed(),
      ];
      return {
        id: randomUUID(),
        stageId,
        name: `Zone ${n + 1}`,
        kind: 'speed',
        area: { polygon: sides.flat().map(positionOf) },
        limitKmh: 50,
        toleranceKmh: 2,
        graceM: 90,
        minimumDurationS: 2,
        penaltyFactor: 10,
      };
    }),
  };
  return { race, drive: (vehicle) => driveRoad(road, vehicle, seconds) };
}

const startPoint: RoadPoint = { latitude: 40, longitude: 2, radians: 0 };

function buildRoad(points: number): readonly RoadPoint[] {
  const road: RoadPoint[] = [];
  let { latitude, longitude } = startPoint;
  for (let n = 0; n <= points; n += 1) {
    const radians = 1.2 * Math.sin(n / 40) + 0.5 * Math.sin(n / 5);
    road.push({ latitude, longitude, radians });
    longitude += (stepM * Math.sin(radians)) / metresPerDegreeEast(latitude);
    latitude += (stepM * Math.cos(radians)) / metresPerDegreeNorth(latitude);
  }
  return road;
}

function beside({ latitude, longitude, radians }: RoadPoint, rightM: number) {
  return {
    latitude: latitude - (rightM * Math.sin(radians)) / metresPerDegreeNorth(latitude),
    longitude: longitude + (rightM * Math.cos(radians)) / metresPerDegreeEast(latitude),
  };
}

function positionOf({ latitude, longitude }: Pick<RoadPoint, 'latitude' | 'longitude'>): readonly number[] {
  return [longitude, latitude];
}

/** Between 18 and 90 km/h, up to a few metres beside the road. */
function* driveRoad(road: readonly RoadPoint[], vehicle: number, seconds: number): Generator<Fix> {
  const random = createRandom(14, vehicle);
  const pace = between(random, 0.9, 1.05);
  let [alongM, besideM] = [-20 - vehicle, 0];
  for (let second = 0; second < seconds; second += 1) {
    const mps = pace * meanMps * (1 + 0.65 * Math.sin(second / 37 + vehicle));
    alongM += mps;
    besideM = 0.95 * besideM + 0.5 * gaussian(random);
    const point = road[Math.min(road.length - 1, Math.max(0, Math.floor(alongM / stepM)))] ?? startPoint;
    const onwardM = alongM - stepM * Math.floor(alongM / stepM);
    const { latitude, longitude } = beside(point, besideM);
    yield {
      fixAtMs: startAtMs + second * 1000,
      latitude: latitude + (onwardM * Math.cos(point.radians)) / metresPerDegreeNorth(latitude),
      longitude: longitude + (onwardM * Math.sin(point.radians)) / metresPerDegreeEast(latitude),
      speedKmh: Math.round(mps * 3.6),
      hdop: 0.8,
      priority: 0,
      quality: 0,
      isFaulty: false,
    };
  }
}
