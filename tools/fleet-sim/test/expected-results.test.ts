import type { Race } from '@app/race/course';
import { evaluateRace } from '@app/race/evaluate-race';
import type { Fix } from '@app/race/fix';
import { defaultThresholds } from '@app/race/thresholds';
import { describe, expect, test } from 'vitest';
import { buildCourse } from '../src/course.ts';
import { findDifferences, type RaceIncident, type RaceSummary } from '../src/expected-results.ts';
import { race, raceTrackers, type RaceOptions } from '../src/race.ts';

const startAtMs = Date.UTC(2026, 6, 4, 9);
const script = { vehicles: 8, startAtMs, startIntervalMs: 2_000, hasIncidents: true };

test.for([1, 2])('with seed %i the results are as scripted, whenever the race ends', (seed) => {
  const options = { ...script, seed };
  for (const seconds of [1, 100, 130, 180, 290]) {
    const untilMs = startAtMs + 1_000 * seconds;
    expect([seconds, ...findDifferences(options, untilMs, summarise(evaluate(options, untilMs)))]).toEqual([
      seconds,
    ]);
  }
});

test('after 200 s each incident is in the results, of its entry only', () => {
  const options = { ...script, seed: 1 };
  const { incidents } = summarise(evaluate(options, startAtMs + 200_000));
  expect(incidents.toSorted((a, b) => Number(a.number) - Number(b.number))).toEqual([
    { number: '2', kind: 'missed waypoint', at: 'SS 1 WP 2' },
    { number: '3', kind: 'speeding', at: 'SS 2 Village' },
    { number: '4', kind: 'stop', at: 'SS 1' },
    { number: '5', kind: 'SOS', at: '' },
  ]);
});

test('of two trackers in a car each gate is passed once, by one of them', () => {
  const options = { ...script, seed: 1 };
  const trackers = raceTrackers(options)[6] ?? [];
  expect(trackers).toHaveLength(2);
  const { entries } = evaluate(options, startAtMs + 280_000);
  const passings = entries.find(({ entryId }) => entryId === '7')?.passings ?? [];
  expect(passings.map(({ verdict }) => verdict)).toEqual(Array(12).fill('counted'));
  expect(new Set(passings.map(({ fixes }) => fixes?.deviceId))).toEqual(new Set(trackers));
});

describe('a difference is', () => {
  const options = { ...script, seed: 1 };
  const untilMs = startAtMs + 200_000;
  const good = summarise(evaluate(options, untilMs));
  const without = (kind: RaceIncident['kind']) => good.incidents.filter((one) => one.kind !== kind);

  test.for<[string, Partial<RaceSummary>, string]>([
    ['a missing incident', { incidents: without('stop') }, 'No. 4 should have one stop SS 1, not 0'],
    [
      'an incident of another entry',
      { incidents: [...good.incidents, { number: '1', kind: 'SOS', at: '' }] },
      'No. 1 should have no SOS',
    ],
    [
      'another waypoint',
      {
        incidents: [...without('missed waypoint'), { number: '2', kind: 'missed waypoint', at: 'SS 1 WP 3' }],
      },
      'No. 2 should have no missed waypoint SS 1 WP 3',
    ],
    [
      'an incident twice',
      { incidents: [...good.incidents, { number: '3', kind: 'speeding', at: 'SS 2 Village' }] },
      'No. 3 should have one speeding SS 2 Village, not 2',
    ],
    [
      'a gate that is missing, of what was sent late',
      { gatesPassed: new Map([...good.gatesPassed, ['6 SS 1', 3]]) },
      'No. 6 has 3 passings of gates on SS 1, not 4 to 4',
    ],
    [
      'a gate passed once by each of two trackers',
      { gatesPassed: new Map([...good.gatesPassed, ['7 SS 1', 8]]) },
      'No. 7 has 8 passings of gates on SS 1, not 4 to 4',
    ],
  ])('%s', ([, change, difference]) => {
    expect(findDifferences(options, untilMs, { ...good, ...change })).toContain(difference);
  });
});

/** The results of what is sent before a time, by the rules alone. */
function evaluate(options: RaceOptions, untilMs: number): ReturnType<typeof evaluateRace> {
  const trackers = raceTrackers(options);
  const fixes = new Map<string, Fix[]>(trackers.flat().map((imei) => [imei, []]));
  for (const { record } of race({ ...options, durationMs: untilMs - options.startAtMs })) {
    const { deviceId, fixAtMs, latitude, longitude, speedKmh, priority } = record.position;
    const common = { hdop: undefined, quality: 0, isFaulty: false };
    fixes.get(deviceId)?.push({ ...common, fixAtMs, latitude, longitude, speedKmh, priority });
  }
  const results = evaluateRace(courseOf(trackers), fixes, untilMs);
  expect(results.checked.problems.filter(({ isRefused }) => isRefused)).toEqual([]);
  return results;
}

function summarise({ entries }: ReturnType<typeof evaluateRace>): RaceSummary {
  const passings = entries.flatMap((entry) => entry.passings);
  return {
    gatesPassed: new Map(
      [...Map.groupBy(passings, ({ entryId, stageId }) => `${entryId} ${stageId}`)].map(([key, rows]) => [
        key,
        rows.length,
      ]),
    ),
    incidents: entries.flatMap((entry): RaceIncident[] => [
      ...entry.waypoints
        .filter(({ verdict }) => verdict === 'missed')
        .map(({ waypointId }) => ({
          number: entry.entryId,
          kind: 'missed waypoint' as const,
          at: waypointId,
        })),
      ...entry.zoneEpisodes.map(({ zoneId }) => ({
        number: entry.entryId,
        kind: 'speeding' as const,
        at: zoneId,
      })),
      ...entry.incidents.map(({ rule, stageId = '' }) => ({
        number: entry.entryId,
        kind: rule === 'sos' ? ('SOS' as const) : ('stop' as const),
        at: stageId,
      })),
    ]),
  };
}

/** Ids are names and start numbers. */
function courseOf(trackers: readonly (readonly string[])[]): Race {
  const course = buildCourse();
  const numbered = trackers.map((imeis, index) => ({ imeis, id: String(index + 1) }));
  return {
    event: { id: 'event', name: '', startAtMs, endAtMs: undefined, thresholds: defaultThresholds },
    stages: course.map(({ name, line }, n) => ({
      id: name,
      name,
      order: n + 1,
      kind: 'special',
      line,
      startAtMs: undefined,
      startIntervalS: 60,
      startBy: 'gate',
      timeLimitS: undefined,
    })),
    gates: course.flatMap((stage) =>
      stage.gates.map((gate, n) => ({
        ...gate,
        id: `${stage.name} ${gate.name}`,
        stageId: stage.name,
        order: n + 1,
        direction: 'forward' as const,
        deadTimeS: 10,
        crossing: 'first' as const,
      })),
    ),
    waypoints: course.flatMap((stage) =>
      stage.waypoints.map(({ latitude, longitude, ...waypoint }, n) => ({
        ...waypoint,
        id: `${stage.name} ${waypoint.name}`,
        stageId: stage.name,
        order: n + 1,
        position: { latitude, longitude },
        isAnyOrder: false,
      })),
    ),
    zones: course.flatMap((stage) =>
      stage.zones.map(({ polygon, limitKmh = 0, ...zone }) => ({
        ...zone,
        id: `${stage.name} ${zone.name}`,
        stageId: stage.name,
        area: { polygon },
        limitKmh,
        toleranceKmh: 0,
        graceM: 0,
        minimumDurationS: 0,
        penaltyFactor: 10,
      })),
    ),
    entries: numbered.map(({ id }, index) => ({
      id,
      number: id,
      crew: '',
      class: '',
      startOrder: index + 1,
      startAtMs: undefined,
      status: 'entered',
    })),
    assignments: numbered.flatMap(({ imeis, id }) =>
      imeis.map((imei, n) => ({
        id: imei,
        entryId: id,
        deviceId: imei,
        order: n + 1,
        fromMs: undefined,
        untilMs: undefined,
      })),
    ),
    decisions: [],
  };
}
