import { parseArgs } from 'node:util';
import { readDuration } from '@app/fleet-sim/read-duration';

export interface DemoArguments {
  /** How long; without it until Ctrl-C. */
  readonly durationMs: number | undefined;
  readonly vehicles: number;
  readonly seed: number;
  readonly isReplay: boolean;
}

export const usage = `usage: ./run demo [options]

The whole system on this machine: a simulated race, both services, and a client that watches.

  --for 20s       ends by itself, with exit code 0 if every fix was stored and watched (ms, s, m or h)
  --vehicles N    how many (50; with --replay at most 33)
  --seed N        the same seed gives the same race (1)
  --replay        recorded flights instead of the simulated race
  --help

Redis and Postgres are those of REDIS_URL and POSTGRES_URL, where set: the demo makes a stream
and a database of its own there and removes them. Otherwise it starts both.`;

/** What is wrong with a command line, one sentence each. */
export class UsageError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'UsageError';
    this.problems = problems;
  }
}

/** @throws UsageError with all problems at once; returns undefined where only help is asked for. */
export function readArguments(args: readonly string[]): DemoArguments | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const problems: string[] = [];
  const durationMs = values.for === undefined ? undefined : readDuration(values.for);
  if (values.for !== undefined && durationMs === undefined) {
    problems.push('--for must be a duration such as 500ms, 20s, 5m or 1h');
  }
  const whole = (name: 'vehicles' | 'seed', least: number, most: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least || value > most) {
      problems.push(`--${name} must be a whole number from ${least} to ${most}`);
    }
    return value;
  };
  const vehicles = whole('vehicles', 1, 5_000);
  const seed = whole('seed', 0, Number.MAX_SAFE_INTEGER);
  if (problems.length > 0) throw new UsageError(problems);
  return { durationMs, vehicles, seed, isReplay: values.replay === true };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        for: { type: 'string' },
        vehicles: { type: 'string', default: '50' },
        seed: { type: 'string', default: '1' },
        replay: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    // parseArgs says which option it does not know, or which lacks its value.
    throw new UsageError([error instanceof Error ? error.message : String(error)]);
  }
}
