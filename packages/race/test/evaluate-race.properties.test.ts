import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Race } from '../src/course.ts';
import type { Decision } from '../src/decision.ts';
import { evaluateRace, type RaceResults } from '../src/evaluate-race.ts';
import type { Fix } from '../src/fix.ts';
import { arbitraryDrive, smallRace } from './support/arbitrary-drive.ts';
import { dayMs, makeFix, makeRace, pointAt } from './support/race.ts';

const race: Race = {
  ...smallRace,
  entries: ['1', '2'].flatMap((id) =>
    smallRace.entries.map((entry) => Object.assign({}, entry, { id, number: id })),
  ),
  assignments: ['A', 'B', 'C'].flatMap((deviceId, index) =>
    smallRace.assignments.map((row) =>
      Object.assign({}, row, { id: deviceId, deviceId, entryId: deviceId === 'C' ? '2' : '1', order: index }),
    ),
  ),
};

const arbitraryFixes = fc.tuple(arbitraryDrive, arbitraryDrive, arbitraryDrive).map(
  ([a, b, c]) =>
    new Map([
      ['A', a],
      ['B', b],
      ['C', c],
    ]),
);

const asOfMs = dayMs + 3_600_000;

test('shuffled and repeated fixes give the same results', () => {
  fc.assert(
    fc.property(arbitraryFixes, fc.integer(), (fixes, seed) => {
      const shuffled = new Map(
        [...fixes].toReversed().map(([device, drive]) => [device, shuffle([...drive, ...drive], seed)]),
      );
      expect(evaluateRace(race, shuffled, asOfMs)).toEqual(evaluateRace(race, fixes, asOfMs));
    }),
    { numRuns: 100 },
  );
});

test('rows of the course, entries and decisions in another order give the same results', () => {
  const reversed: Race = {
    ...race,
    stages: race.stages.toReversed(),
    gates: race.gates.toReversed(),
    waypoints: race.waypoints.toReversed(),
    zones: race.zones.toReversed(),
    entries: race.entries.toReversed(),
    assignments: race.assignments.toReversed(),
  };
  fc.assert(
    fc.property(arbitraryFixes, (fixes) => {
      expect(evaluateRace(reversed, fixes, asOfMs)).toEqual(evaluateRace(race, fixes, asOfMs));
    }),
    { numRuns: 100 },
  );
});

test('each row has a key of its own, and no gate counts twice', () => {
  fc.assert(
    fc.property(arbitraryFixes, (fixes) => {
      const { entries, classification } = evaluateRace(race, fixes, asOfMs);
      const keys = [...entries.flatMap(rowsOf), ...classification.rows].map(({ key }) => key);
      expect(new Set(keys).size).toBe(keys.length);
      for (const { passings, failures } of entries) {
        const counted = passings.filter(({ verdict }) => verdict === 'counted').map(({ gateId }) => gateId);
        expect(new Set(counted).size).toBe(counted.length);
        expect(failures).toEqual([]);
      }
    }),
    { numRuns: 100 },
  );
});

test('a decision changes results, and its removal restores them', () => {
  fc.assert(
    fc.property(arbitraryFixes, arbitraryDecision(), (fixes, decision) => {
      const before = evaluateRace(race, fixes, asOfMs);
      const decided = evaluateRace({ ...race, decisions: [decision] }, fixes, asOfMs);
      if (decision.kind === 'penalty' || decision.kind === 'status') {
        expect(decided.entries).not.toEqual(before.entries);
        expect(resultsOf(decided, '1').stages.some(({ isDecided }) => isDecided)).toBe(true);
      }
      expect(resultsOf(decided, '2')).toEqual(resultsOf(before, '2'));
      expect(evaluateRace(race, fixes, asOfMs)).toEqual(before);
    }),
    { numRuns: 100 },
  );
});

test('a gate that is moved and moved back, and a fix that is marked faulty and not any more, restore the results', () => {
  const moved: Race = {
    ...race,
    gates: race.gates.map((gate) => (gate.id === 'M' ? { ...gate, left: pointAt([300, 60]) } : gate)),
  };
  fc.assert(
    fc.property(arbitraryFixes, (fixes) => {
      const before = evaluateRace(race, fixes, asOfMs);
      evaluateRace(moved, fixes, asOfMs);
      const faulty = new Map(
        [...fixes].map(([device, drive]) => [device, drive.map((fix) => ({ ...fix, isFaulty: true }))]),
      );
      expect(evaluateRace(race, faulty, asOfMs).entries.flatMap(({ passings }) => passings)).toEqual([]);
      expect(evaluateRace(race, fixes, asOfMs)).toEqual(before);
    }),
    { numRuns: 50 },
  );
});

test('a tracker that is given to another entry takes what it observes with it', () => {
  const given: Race = {
    ...race,
    assignments: race.assignments.map((row) => Object.assign({}, row, { entryId: '2' })),
  };
  fc.assert(
    fc.property(arbitraryDrive, (drive) => {
      const fixes = new Map([['A', drive]]);
      const before = resultsOf(evaluateRace(race, fixes, asOfMs), '1').passings;
      const after = resultsOf(evaluateRace(given, fixes, asOfMs), '2').passings;
      expect(after.map(({ gateId, atMs }) => [gateId, atMs])).toEqual(
        before.map(({ gateId, atMs }) => [gateId, atMs]),
      );
    }),
    { numRuns: 50 },
  );
});

test('of a drive that passes each gate once, any choice of fixes gives at most one passing of each, and none goes missing between fixes', () => {
  const straight = makeRace({
    gates: [
      { id: 'S', eastM: 0 },
      { id: 'M', eastM: 100 },
      { id: 'F', eastM: 130 },
    ],
  });
  const forwards = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 0, max: 30 })), {
      minLength: 1,
      maxLength: 60,
    })
    .map((steps) => {
      let [atMs, east] = [0, -20];
      return steps.map(([afterMs, metres]) => {
        atMs += afterMs;
        east += metres;
        return { east, fix: makeFix(atMs / 1000, [east, 0], 100) };
      });
    });
  fc.assert(
    fc.property(
      forwards.chain((drive) => fc.subarray(drive, { minLength: 1 })),
      (kept) => {
        const fixes = new Map<string, readonly Fix[]>([['A', kept.map(({ fix }) => fix)]]);
        const [entry] = evaluateRace(straight, fixes, asOfMs).entries;
        const [first, last] = [kept[0]?.east ?? 0, kept.at(-1)?.east ?? 0];
        // A fix on a gate has passed it.
        const passed = [
          ['S', 0],
          ['M', 100],
          ['F', 130],
        ].filter(([, east]) => first < Number(east) && last >= Number(east));
        expect(entry?.passings.map(({ gateId, verdict }) => [gateId, verdict])).toEqual(
          passed.map(([id]) => [id, 'counted']),
        );
      },
    ),
    { numRuns: 500 },
  );
});

function resultsOf({ entries }: RaceResults, id: string) {
  const found = entries.find(({ entryId }) => entryId === id);
  if (!found) throw new Error(`no results of the entry ${id}`);
  return found;
}

function rowsOf(entry: RaceResults['entries'][number]) {
  return [...entry.passings, ...entry.waypoints, ...entry.zoneEpisodes, ...entry.incidents, ...entry.stages];
}

function arbitraryDecision(): fc.Arbitrary<Decision> {
  const decided = {
    id: 'decision',
    entryId: '1',
    decidedAtMs: asOfMs,
    decidedBy: 'race control',
    reason: 'protest',
  };
  const target = fc.record({
    targetId: fc.constantFrom('S', 'M', 'F', 'W1', 'W2'),
    atMs: fc.integer({ min: dayMs, max: dayMs + 200_000 }),
  });
  return fc.oneof(
    target.map((meant): Decision => ({ ...decided, kind: 'passing_added', ...meant })),
    target.map((meant): Decision => ({ ...decided, kind: 'passing_suppressed', ...meant })),
    target.map((meant): Decision => {
      return { ...decided, kind: 'passing_corrected', ...meant, correctedAtMs: meant.atMs + 500 };
    }),
    target.map(({ atMs }): Decision =>
      Object.assign({ kind: 'incident_resolved' as const, incident: 'sos' as const, atMs }, decided),
    ),
    fc
      .integer({ min: 1, max: 900 })
      .map((penaltyS): Decision =>
        Object.assign({ kind: 'penalty' as const, stageId: 'SS1', penaltyS }, decided),
      ),
    fc.constant<Decision>({ ...decided, kind: 'status', stageId: undefined, status: 'dsq' }),
  );
}

function shuffle<Item>(items: readonly Item[], seed: number): readonly Item[] {
  const keyed = items.map((item, index) => ({ item, key: Math.sin(seed + index * 12.9898) }));
  return keyed.toSorted((a, b) => a.key - b.key).map(({ item }) => item);
}
