import { parseArgs } from 'node:util';
import { readDuration } from './read-duration.ts';

export interface FleetSimArguments {
  readonly redisUrl: string;
  readonly stream: string;
  readonly vehicles: number;
  readonly seed: number;
  /** Of the race; of the clock on the wall too, unless the speed is another than 1. */
  readonly durationMs: number | undefined;
  readonly speed: number;
  readonly isReplay: boolean;
  readonly maxLength: number;
}

export const usage = `usage: ./run fleet-sim [options]

Simulates a rally and puts its trackers' records on a Redis stream, a fix a second each.

  --vehicles N     how many (50; with --replay at most 33)
  --seed N         the same seed gives the same race (1)
  --for 20s        how much of the race: ms, s, m or h (without: until Ctrl-C)
  --speed N|max    so many times faster than real time; needs --for (1)
  --replay         recorded flights (igc-xc-score's test files) instead of a simulated race
  --stream KEY     the stream (REDIS_TELEMETRY_STREAM)
  --max-length N   where the stream is trimmed, about (1000000)
  --help

REDIS_URL says where Redis is.`;

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
export function readArguments(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): FleetSimArguments | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const problems: string[] = [];

  const redisUrl = env['REDIS_URL'] ?? '';
  if (!URL.canParse(redisUrl)) {
    problems.push('REDIS_URL must be set to a URL, for example REDIS_URL=redis://127.0.0.1:6379');
  }
  const stream = values.stream ?? env['REDIS_TELEMETRY_STREAM'] ?? '';
  if (stream === '' || stream.includes(',')) {
    problems.push('one stream must be named: --stream telemetry:teltonika, or REDIS_TELEMETRY_STREAM');
  }
  const durationMs = values.for === undefined ? undefined : readDuration(values.for);
  if (values.for !== undefined && durationMs === undefined) {
    problems.push('--for must be a duration such as 500ms, 20s, 5m or 1h');
  }
  const speed = values.speed === 'max' ? Infinity : Number(values.speed);
  if (!(speed > 0)) problems.push('--speed must be a number above 0, or max');
  if (speed !== 1 && values.for === undefined) {
    // Without an end the race would run ahead of the clock, into fixes that lie in the future.
    problems.push('--speed needs --for: how much of the race is to be sent');
  }
  const whole = (name: 'vehicles' | 'seed' | 'max-length', least: number, most: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least || value > most) {
      problems.push(`--${name} must be a whole number from ${least} to ${most}`);
    }
    return value;
  };
  const read: FleetSimArguments = {
    redisUrl,
    stream,
    vehicles: whole('vehicles', 1, 100_000),
    seed: whole('seed', 0, Number.MAX_SAFE_INTEGER),
    durationMs,
    speed,
    isReplay: values.replay === true,
    maxLength: whole('max-length', 1, Number.MAX_SAFE_INTEGER),
  };
  if (problems.length > 0) throw new UsageError(problems);
  return read;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        vehicles: { type: 'string', default: '50' },
        seed: { type: 'string', default: '1' },
        for: { type: 'string' },
        speed: { type: 'string', default: '1' },
        replay: { type: 'boolean' },
        stream: { type: 'string' },
        'max-length': { type: 'string', default: '1000000' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    // parseArgs says which option it does not know, or which lacks its value.
    throw new UsageError([error instanceof Error ? error.message : String(error)]);
  }
}
