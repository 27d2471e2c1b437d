import { afterEach, expect, test, vi } from 'vitest';
import { evaluateRace } from '../src/evaluate-race.ts';
import { dayMs, makeFix, makeRace } from './support/race.ts';

const planted = vi.hoisted(() => ({ throwsFor: '' }));

vi.mock(import('../src/judge/judge-stage.ts'), async (importOriginal) => {
  const original = await importOriginal();
  return {
    judgeStage: (...args: Parameters<typeof original.judgeStage>) => {
      if (args[2].id === planted.throwsFor) throw new Error('no such edge');
      return original.judgeStage(...args);
    },
  };
});

afterEach(() => {
  planted.throwsFor = '';
});

test('a stage that cannot be judged has no results for the entry, with the reason; other stages and SOS have theirs', () => {
  const race = makeRace({
    stages: [{ id: 'SS1' }, { id: 'SS2' }],
    gates: [
      { id: 'S', eastM: 0 },
      { id: 'F', eastM: 1000 },
    ],
  });
  const fixes = new Map([
    [
      'A',
      [0, 1, 2].map((second) =>
        makeFix(second, [second * 10 - 5, 0], 36, { priority: second === 2 ? 2 : 0 }),
      ),
    ],
  ]);
  const whole = evaluateRace(race, fixes, dayMs + 3000).entries[0];
  planted.throwsFor = 'SS2';
  const { entries, classification } = evaluateRace(race, fixes, dayMs + 3000);
  expect(entries[0]?.judgeFailures).toEqual([{ stageId: 'SS2', message: 'no such edge' }]);
  expect(entries[0]?.stages).toEqual(whole?.stages.slice(0, 1));
  expect(entries[0]?.passings).toEqual(whole?.passings);
  expect(entries[0]?.incidents).toEqual(whole?.incidents);
  expect(whole?.incidents).toHaveLength(1);
  expect(classification.rows.map(({ stageId }) => stageId)).toEqual(['SS1', 'SS2', undefined]);
});
