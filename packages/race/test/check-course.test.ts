import { expect, test } from 'vitest';
import { checkCourse } from '../src/check-course.ts';
import { evaluateRace } from '../src/evaluate-race.ts';
import { dayMs, makeFix, makeRace, type GivenRace } from './support/race.ts';

const square = [
  [0, 0],
  [100, 0],
  [100, 100],
  [0, 100],
] as const;
const decided = { entryId: '1', decidedAtMs: 0, decidedBy: 'the steward', reason: 'protest' };

interface BadInput {
  readonly what: string;
  readonly race: GivenRace;
  /** Collection, id and sentence of each problem; `warning` where the row is used. */
  readonly problems: readonly (readonly [string, string, string, 'warning'?])[];
}

const badInputs: readonly BadInput[] = [
  {
    what: 'a polygon that crosses itself',
    race: {
      zones: [
        {
          id: 'Z',
          polygon: [
            [0, 0],
            [100, 100],
            [100, 0],
            [0, 100],
          ],
        },
        { id: 'good', polygon: square },
      ],
    },
    problems: [['zones', 'Z', 'The zone Z: ']],
  },
  {
    what: 'a gate of zero length',
    race: {
      gates: [
        { id: 'S', eastM: 0 },
        { id: 'M', left: [500, 0], right: [500, 0] },
        { id: 'F', eastM: 1000 },
      ],
    },
    problems: [['gates', 'M', 'The gate M: The posts are 0.00 m apart']],
  },
  {
    what: 'a stage with a line of one point',
    race: { stages: [{ id: 'SS1', line: [[0, 0]] }] },
    problems: [['stages', 'SS1', 'The stage SS1: A line needs at least 2 different points', 'warning']],
  },
  {
    what: 'two gates with one order',
    race: {
      gates: [
        { id: 'S', eastM: 0 },
        { id: 'M1', eastM: 400, order: 2 },
        { id: 'M2', eastM: 500, order: 2 },
        { id: 'F', eastM: 1000 },
      ],
    },
    problems: [
      ['gates', 'M1', 'The gates M1 and M2 of the stage SS1 both have the order 2; neither can be timed.'],
      ['gates', 'M2', 'The gates M2 and M1 of the stage SS1 both have the order 2; neither can be timed.'],
    ],
  },
  {
    what: 'a finish that is not the last gate',
    race: {
      gates: [
        { id: 'S', eastM: 0 },
        { id: 'F', eastM: 500, kind: 'finish' },
        { id: 'M', eastM: 1000, kind: 'split' },
      ],
    },
    problems: [['gates', 'F', 'The gate F is a finish, but not the last gate of the stage SS1.']],
  },
  {
    what: 'two stages with one order',
    race: { stages: [{ id: 'SS1' }, { id: 'SS2', order: 3 }, { id: 'SS3' }] },
    problems: [
      ['stages', 'SS2', 'The stages SS2 and SS3 both have the order 3.'],
      ['stages', 'SS3', 'The stages SS3 and SS2 both have the order 3.'],
    ],
  },
  {
    what: 'a device in two entries at the same time',
    race: {
      entries: [{ id: '1' }, { id: '2' }],
      assignments: [{ untilMs: 2000 }, { entryId: '2', fromMs: 1999 }, { deviceId: 'B' }],
    },
    problems: [
      [
        'entry_devices',
        'assignment 1',
        'The device A is in the entries 1 and 2 at the same time; it counts for neither.',
      ],
      [
        'entry_devices',
        'assignment 2',
        'The device A is in the entries 1 and 2 at the same time; it counts for neither.',
      ],
    ],
  },
  {
    what: 'a radius too small for the fix interval at the expected speed',
    race: {
      thresholds: { expectedSpeedKmh: 144, fixIntervalS: 5 },
      waypoints: [
        { id: 'W1', at: [100, 0], radiusM: 99.9 },
        { id: 'W2', at: [200, 0], radiusM: 100 },
      ],
    },
    problems: [
      [
        'waypoints',
        'W1',
        'The radius of the waypoint W1 is 99.9 m; at 144 km/h and a fix every 5 s it must be at least 100 m',
      ],
    ],
  },
  {
    what: 'a radius of 0',
    race: { waypoints: [{ id: 'W', at: [0, 0], radiusM: 0 }] },
    problems: [['waypoints', 'W', 'The waypoint W: The radius is 0 m; it must be more than 0 m.']],
  },
  {
    what: 'a zone with no limit, and one between waypoints of which one does not exist',
    race: {
      waypoints: [{ id: 'W', at: [0, 0] }],
      zones: [
        { id: 'Z1', polygon: square, limitKmh: 0 },
        { id: 'Z2', between: ['W', 'X'] },
      ],
    },
    problems: [
      ['zones', 'Z1', 'The speed zone Z1 has no limit above 0 km/h.'],
      ['zones', 'Z2', 'The zone Z2: A waypoint that bounds the zone does not exist.'],
    ],
  },
  {
    what: 'rows of a stage, an entry or a target that does not exist',
    race: {
      gates: [
        { id: 'S', eastM: 0 },
        { id: 'F', eastM: 1000 },
        { id: 'G', stageId: 'SS9', eastM: 5 },
      ],
      waypoints: [{ id: 'W', at: [0, 0], stageId: 'SS9' }],
      zones: [{ id: 'Z', polygon: square, stageId: 'SS9' }],
      assignments: [{}, { deviceId: 'B', entryId: '9' }],
      decisions: [
        { ...decided, id: 'D1', kind: 'penalty', stageId: 'SS9', penaltyS: 1 },
        { ...decided, id: 'D2', kind: 'passing_added', targetId: 'SS1', atMs: 0 },
        { ...decided, id: 'D3', kind: 'status', stageId: undefined, status: 'dnf', entryId: '9' },
        { ...decided, id: 'D4', kind: 'episode_suppressed', zoneId: 'S', atMs: 0 },
      ],
    },
    problems: [
      [
        'decisions',
        'D1',
        'A decision by the steward is about a stage that does not exist or cannot be used: SS9.',
      ],
      [
        'decisions',
        'D2',
        'A decision by the steward is about a gate or waypoint that does not exist or cannot be used: SS1.',
      ],
      [
        'decisions',
        'D3',
        'A decision by the steward belongs to an entry that does not exist or cannot be used: 9.',
      ],
      [
        'decisions',
        'D4',
        'A decision by the steward is about a zone that does not exist or cannot be used: S.',
      ],
      [
        'entry_devices',
        'assignment 2',
        'The device B belongs to an entry that does not exist or cannot be used: 9.',
      ],
      ['gates', 'G', 'The gate G belongs to a stage that does not exist or cannot be used: SS9.'],
      ['waypoints', 'W', 'The waypoint W belongs to a stage that does not exist or cannot be used: SS9.'],
      ['zones', 'Z', 'The zone Z belongs to a stage that does not exist or cannot be used: SS9.'],
    ],
  },
  {
    what: 'a dead time below 0, and coordinates that are none',
    race: {
      gates: [
        { id: 'S', eastM: 0, deadTimeS: -1 },
        { id: 'M', left: [Number.NaN, 0] },
        { id: 'F', eastM: 1000 },
      ],
    },
    problems: [
      ['gates', 'M', 'The gate M: The left post has the longitude NaN'],
      ['gates', 'S', 'The dead time of the gate S is not a number of seconds.'],
    ],
  },
];

function idsOf(rows: readonly { readonly id: string }[]): readonly string[] {
  return rows.map(({ id }) => id).toSorted();
}

test.for(badInputs)('$what: a sentence each, and the rest is used', ({ race, problems }) => {
  const made = makeRace(race);
  const checked = checkCourse(made);
  expect(checked.problems.map(({ collection, id, isRefused }) => [collection, id, isRefused])).toEqual(
    problems.map(([collection, id, , warning]) => [collection, id, warning === undefined]),
  );
  for (const [index, [, , sentence]] of problems.entries()) {
    expect(checked.problems[index]?.message).toContain(sentence);
    expect(checked.problems[index]?.message).toMatch(/\.$/);
  }

  const refused = new Set(problems.filter(([, , , warning]) => !warning).map(([, id]) => id));
  const { course } = checked;
  const usable = (rows: readonly { readonly id: string }[]) =>
    idsOf(rows.filter(({ id }) => !refused.has(id)));
  expect(idsOf(course.stages)).toEqual(usable(made.stages));
  expect(idsOf(course.gates)).toEqual(usable(made.gates));
  expect(idsOf(course.waypoints)).toEqual(usable(made.waypoints));
  expect(idsOf(course.zones)).toEqual(usable(made.zones));
  expect(idsOf(checked.assignments)).toEqual(usable(made.assignments));
  expect(idsOf(checked.decisions)).toEqual(usable(made.decisions));
  expect(checked.prepared.gates).toHaveLength(course.gates.length);

  // The whole is evaluated without what was refused.
  const drive = [makeFix(0, [-5, 0], 36), makeFix(1, [5, 0], 36)];
  const { entries } = evaluateRace(made, new Map([['A', drive]]), dayMs + 2000);
  expect(entries).toHaveLength(made.entries.length);
});

test('a good race has no problems, and an entry may have two devices', () => {
  expect(checkCourse(makeRace({ assignments: [{}, { deviceId: 'B' }] })).problems).toEqual([]);
});

test('a device may change its entry at a time', () => {
  const race = makeRace({
    entries: [{ id: '1' }, { id: '2' }],
    assignments: [{ untilMs: 2000 }, { entryId: '2', fromMs: 2000 }],
  });
  expect(checkCourse(race).problems).toEqual([]);
});

test('a stage without a line, a stage without a schedule and an event without an end are used, with a warning', () => {
  const race = makeRace({ stages: [{ id: 'SS1', startBy: 'schedule' }] });
  const { problems, course } = checkCourse({
    ...race,
    event: { ...race.event, endAtMs: undefined },
    stages: race.stages.map((stage) => Object.assign({}, stage, { line: undefined })),
  });
  expect(problems.map(({ message }) => message)).toEqual([
    'The event rally has no end: nobody on a stage without a time limit will be DNF.',
    'The stage SS1 has no line: vehicles on it have times, but no progress.',
    'The stage SS1 is timed from its schedule, but has no scheduled start.',
  ]);
  expect(problems.some(({ isRefused }) => isRefused)).toBe(false);
  expect(course.stages).toHaveLength(1);
});

test.for([
  [
    'that ends before it starts',
    { startAtMs: 2, endAtMs: 2 },
    'The event rally ends before it starts; nothing of it is evaluated. Correct its start or its end.',
  ],
  [
    'without any scheduled start',
    { startAtMs: undefined },
    'The event rally has no start, and no stage or entry with a scheduled one; nothing of it is evaluated. Enter its start.',
  ],
] as const)('an event %s is refused, and has no results', ([, wrong, message]) => {
  const race = makeRace();
  const refused = { ...race, event: { ...race.event, ...wrong } };
  expect(checkCourse(refused).problems).toEqual([
    { collection: 'events', id: 'rally', isRefused: true, message },
  ]);
  const fixes = new Map([['A', [makeFix(0, [-5, 0], 36), makeFix(1, [5, 0], 36)]]]);
  expect(evaluateRace(race, fixes, dayMs).entries).toHaveLength(1);
  const { entries, classification } = evaluateRace(refused, fixes, dayMs);
  expect([entries, classification]).toEqual([[], { stages: [], rows: [] }]);
});

const resolved = (id: string, atMs: number) =>
  ({ ...decided, id, decidedAtMs: 1_000_000, kind: 'incident_resolved', incident: 'sos', atMs }) as const;

test('resolving an SOS ahead of time is a warning', () => {
  const race = makeRace({
    decisions: [resolved('D1', 1_300_000), resolved('D2', 1_360_000), resolved('D3', 8.64e18)],
  });
  const { problems, decisions } = checkCourse(race);
  expect(problems.map(({ id }) => id)).toEqual(['D2', 'D3']);
  expect(problems[0]?.message).toMatch(
    /^The decision that resolves an SOS of the entry 1 names a time 6 min after it was made/u,
  );
  expect(decisions).toHaveLength(3);
});

test('an event without a start begins when its first stage opens', () => {
  const race = makeRace({
    stages: [
      { id: 'SS1', startS: 1000 },
      { id: 'SS2', startS: 5000 },
    ],
  });
  const open = { ...race, event: { ...race.event, startAtMs: undefined } };
  expect(checkCourse(open).window).toEqual({ fromMs: dayMs + 100_000, untilMs: race.event.endAtMs });
  const [entry] = race.entries;
  if (!entry) throw new Error('the race has no entry');
  const early = { ...open, entries: [{ ...entry, startAtMs: dayMs + 950_000 }] };
  expect(checkCourse(early).window.fromMs).toBe(dayMs + 50_000);

  const passed = (atS: number) => {
    const fixes = [makeFix(atS, [-5, 0], 36), makeFix(atS + 1, [5, 0], 36)];
    return evaluateRace(open, new Map([['A', fixes]]), dayMs).entries[0]?.passings.length;
  };
  expect([passed(99), passed(100)]).toEqual([0, 1]);
});
