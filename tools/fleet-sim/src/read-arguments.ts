import { duration, flag, readArguments as read, string, wholeNumber } from '@app/runtime/read-arguments';

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

const options = {
  vehicles: wholeNumber(50, { from: 1, to: 100_000 }),
  seed: wholeNumber(1, { from: 0 }),
  for: duration(undefined),
  speed: string(),
  replay: flag(),
  stream: string(),
  'max-length': wholeNumber(1_000_000, { from: 1 }),
};

/** Undefined if help was asked for. @throws UsageError */
export function readArguments(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): FleetSimArguments | undefined {
  const redisUrl = env['REDIS_URL'] ?? '';
  const streamOf = (given: string | undefined): string => given ?? env['REDIS_TELEMETRY_STREAM'] ?? '';
  const asked = read(args, options, (values, positionals) => {
    const stream = streamOf(values.stream);
    const speed = readSpeed(values.speed);
    const problems = positionals.map((each) => `unexpected argument '${each}'`);
    if (!URL.canParse(redisUrl)) {
      problems.push('REDIS_URL must be set to a URL, for example REDIS_URL=redis://127.0.0.1:6379');
    }
    if (stream === '' || stream.includes(',')) {
      problems.push('one stream must be named: --stream telemetry:teltonika, or REDIS_TELEMETRY_STREAM');
    }
    if (!(speed > 0)) problems.push('--speed must be a number above 0, or max');
    // Without an end the race would run ahead of the clock, into fixes that lie in the future.
    if (speed !== 1 && values.for === undefined)
      problems.push('--speed needs --for: how much of the race to send');
    return problems;
  });
  if (asked === undefined) return undefined;
  const { vehicles, seed, for: durationMs, speed, replay, stream, 'max-length': maxLength } = asked.values;
  return {
    redisUrl,
    stream: streamOf(stream),
    vehicles,
    seed,
    durationMs,
    speed: readSpeed(speed),
    isReplay: replay,
    maxLength,
  };
}

function readSpeed(given = '1'): number {
  return given === 'max' ? Infinity : Number(given);
}
