import { expect, test } from 'vitest';
import { checkCourse } from '../src/check-course.ts';
import { evaluateRace } from '../src/evaluate-race.ts';
import { judgeEntry } from '../src/judge/judge-entry.ts';
import type { Observation } from '../src/observation.ts';
import { allRules, observeFix, observeFixes, openObservations, startDevice } from '../src/observe.ts';
import type { Rule } from '../src/rules/rule.ts';
import { smallRace } from './support/arbitrary-drive.ts';
import { dayMs, makeFix, makeRace } from './support/race.ts';

const race = makeRace();
const { prepared, course, entries } = checkCourse(race);
const drive = [makeFix(0, [-5, 0], 36), makeFix(1, [5, 0], 36), makeFix(2, [15, 0], 36, { priority: 2 })];

test('a rule that throws is disabled for the device with the reason, and harms no other rule', () => {
  const broken: Rule<unknown> = {
    name: 'zone',
    version: 7,
    fixes: 'good',
    start: () => ({}),
    step: (_course, _state, _previous, fix) => {
      if (fix.fixAtMs === dayMs + 1000) throw new Error('no such edge');
      expect(fix.fixAtMs, 'a disabled rule gets no more fixes').toBeLessThan(dayMs + 1000);
    },
    emitOpen: () => {
      throw new Error('a disabled rule is not asked');
    },
  };
  const rules = [broken, ...allRules.filter(({ name }) => name !== 'zone')];
  const state = startDevice(prepared, rules);
  const observations: Observation[] = [];
  for (const fix of drive) observeFix(prepared, state, fix, (one) => observations.push(one), rules);
  observations.push(...openObservations(prepared, state, rules).observations);

  const failure = { rule: 'zone', ruleVersion: 7, fixAtMs: dayMs + 1000, message: 'no such edge' };
  expect(state.failures).toEqual([failure]);
  expect(observations).toEqual(observeFixes(prepared, drive).observations);

  const [entry] = entries;
  if (!entry) throw new Error('the race has no entry');
  const devices = [{ deviceId: 'A', observations, failures: state.failures }];
  const results = judgeEntry(race.event, course, { entry, devices, decisions: [] }, dayMs + 3000);
  expect(results.failures).toEqual([{ deviceId: 'A', ...failure }]);
  expect(results.passings).toHaveLength(1);
});

test('a rule that cannot say what is open has failed, emits nothing of it, and is used again with the next fix', () => {
  const broken: Rule<unknown> = {
    name: 'zone',
    version: 7,
    fixes: 'good',
    start: () => ({}),
    step: (_course, _state, _previous, { fixAtMs }, emit) => {
      emit({ kind: 'progress', stageId: 'SS1', atMs: fixAtMs, progressM: 0, isOffTrack: false });
    },
    emitOpen: (_course, _state, emit) => {
      emit({ kind: 'progress', stageId: 'SS1', atMs: 0, progressM: 0, isOffTrack: false });
      throw new Error('no such edge');
    },
  };
  const state = startDevice(prepared, [broken]);
  const observations: Observation[] = [];
  for (const fix of drive) {
    observeFix(prepared, state, fix, (one) => observations.push(one), [broken]);
    const failure = { rule: 'zone', ruleVersion: 7, fixAtMs: fix.fixAtMs, message: 'no such edge' };
    expect(openObservations(prepared, state, [broken])).toEqual({ observations: [], failures: [failure] });
  }
  expect(observations).toHaveLength(3);
});

test('fixes that are not in fix-time order are refused', () => {
  const state = startDevice(prepared);
  const [first] = drive;
  if (!first) throw new Error('the drive has no fix');
  observeFix(prepared, state, first, () => {});
  expect(() => observeFix(prepared, state, first, () => {})).toThrow('fixes must be in fix-time order');
});

test('the state stays small, however long a device drives around', () => {
  const checked = checkCourse(smallRace);
  const state = startDevice(checked.prepared);
  for (let at = 0; at < 20_000; at += 1) {
    const angle = at / 30;
    const fix = makeFix(at, [250 + 300 * Math.cos(angle), 100 + 200 * Math.sin(2 * angle)], at % 120, {
      priority: at % 50 === 0 ? 2 : 0,
    });
    observeFix(checked.prepared, state, fix, () => {});
  }
  expect(JSON.stringify(state).length).toBeLessThan(8000);
  expect(state.failures).toEqual([]);
});

test.for([
  ['within', 94.9, 1],
  ['beyond', 95.1, 2],
] as const)('a waypoint that is left %s the hysteresis (5 m) and reached again', ([, beyondM, visits]) => {
  const checked = checkCourse(makeRace({ waypoints: [{ id: 'W', at: [0, 0] }] }));
  const there = [100, 89, beyondM, beyondM, 88, 200, 200];
  const fixes = there.map((east, at) => makeFix(at, [east, 0], 36));
  const { observations } = observeFixes(checked.prepared, fixes);
  expect(observations.filter(({ kind }) => kind === 'waypoint')).toHaveLength(visits);
});

test('an entry without a tracker, and a tracker without a fix, have a result', () => {
  const results = evaluateRace(makeRace({ assignments: [] }), new Map(), dayMs);
  expect(results.entries[0]?.stages[0]?.status).toBe('not_started');
  expect(evaluateRace(race, new Map([['A', []]]), dayMs).entries[0]?.stages[0]?.status).toBe('not_started');
});
