import { describe, expect, test } from 'vitest';
import { evaluateRace } from '../src/evaluate-race.ts';
import { asWritten, fixesOf, isGoldenCase, readGoldenFiles } from './support/golden-case.ts';
import { dayMs, makeRace } from './support/race.ts';

describe.for(readGoldenFiles('rule-', isGoldenCase))('%s', ([, cases]) => {
  test.for(cases.map((golden) => [golden.title, golden] as const))('%s', ([, golden]) => {
    const fixes = fixesOf(golden);
    const newestMs = Math.max(...[...fixes.values()].flat().map(({ fixAtMs }) => fixAtMs));
    const asOfMs = golden.asOfS === undefined ? newestMs + 1000 : dayMs + golden.asOfS * 1000;
    const { entries, classification, checked } = evaluateRace(makeRace(golden.race), fixes, asOfMs);
    expect(checked.problems.filter(({ isRefused }) => isRefused)).toEqual([]);
    const all = {
      passings: entries.flatMap((one) => one.passings),
      waypoints: entries.flatMap((one) => one.waypoints),
      zoneEpisodes: entries.flatMap((one) => one.zoneEpisodes),
      incidents: entries.flatMap((one) => one.incidents),
      stages: classification.stages,
      classification: classification.rows,
    };
    const compared = Object.fromEntries(
      Object.entries(all).filter(([name]) => Object.hasOwn(golden.expected, name)),
    );
    expect(asWritten(compared)).toMatchObject(golden.expected);
    expect(Object.keys(compared)).toEqual(expect.arrayContaining(Object.keys(golden.expected)));
  });
});
