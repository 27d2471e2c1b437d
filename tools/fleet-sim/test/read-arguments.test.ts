import { expect, test } from 'vitest';
import { UsageError } from '@app/runtime/read-arguments';
import { readArguments } from '../src/read-arguments.ts';

const env = { REDIS_URL: 'redis://127.0.0.1:6379', REDIS_TELEMETRY_STREAM: 'telemetry:teltonika' };

const problemsOf = (args: readonly string[], environment: NodeJS.ProcessEnv = env): readonly string[] => {
  try {
    readArguments(args, environment);
  } catch (error) {
    if (error instanceof UsageError) return error.problems;
    throw error;
  }
  return [];
};

test('the default is an endless race of 50 vehicles in real time', () => {
  expect(readArguments([], env)).toEqual({
    redisUrl: env.REDIS_URL,
    stream: env.REDIS_TELEMETRY_STREAM,
    vehicles: 50,
    seed: 1,
    durationMs: undefined,
    speed: 1,
    isReplay: false,
    hasIncidents: false,
    maxLength: 1_000_000,
  });
});

test('--incidents are of a simulated race', () => {
  expect(readArguments(['--incidents'], env)).toMatchObject({ hasIncidents: true, isReplay: false });
  expect(problemsOf(['--incidents', '--replay'])).toEqual([
    '--incidents happen in a simulated race: leave out --replay or --incidents',
  ]);
});

test('reads all options', () => {
  expect(
    readArguments(
      ['--vehicles', '3', '--seed=9', '--for', '5m', '--speed', 'max', '--stream', 'telemetry:x', '--replay'],
      env,
    ),
  ).toMatchObject({
    vehicles: 3,
    seed: 9,
    durationMs: 300_000,
    speed: Infinity,
    stream: 'telemetry:x',
    isReplay: true,
  });
});

test('reports all problems at once', () => {
  const problems = problemsOf(['--vehicles', '0', '--seed', 'x', '--for', 'soon', '--speed', '0'], {});
  expect(new Set(problems.map((problem) => problem.split(' ')[0]))).toEqual(
    new Set(['REDIS_URL', 'exactly', '--for', '--speed', '--vehicles', '--seed']),
  );
});

test('an unknown option, a missing value and a list of streams are refused', () => {
  expect(problemsOf(['--fast'])[0]).toContain("'--fast'");
  expect(problemsOf(['--for'])[0]).toContain('--for');
  expect(problemsOf([], { ...env, REDIS_TELEMETRY_STREAM: 'telemetry:a,telemetry:b' })[0]).toContain(
    'exactly one stream',
  );
  expect(problemsOf(['--speed', '10'])[0]).toContain('--speed needs --for');
});

test('--help needs no environment', () => {
  expect(readArguments(['--help'], {})).toBeUndefined();
});
