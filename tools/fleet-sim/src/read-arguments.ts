import { duration, flag, readArguments as read, string, wholeNumber } from '@app/runtime/read-arguments';
import { incidents } from './incidents.ts';

export interface FleetSimArguments {
  readonly redisUrl: string;
  readonly stream: string;
  readonly vehicles: number;
  readonly seed: number;
  /** Simulated time. */
  readonly durationMs: number | undefined;
  readonly speed: number;
  readonly isReplay: boolean;
  readonly hasIncidents: boolean;
  readonly maxLength: number;
}

export const usage = `usage: ./run fleet-sim [options]

Simulates a rally and adds its trackers' records to a Redis stream, one fix per second and vehicle.

  --vehicles N     number of vehicles (default: 50; with --replay at most 33)
  --seed N         the same seed gives the same race (default: 1)
  --for 20s        length of the race: ms, s, m or h (default: until Ctrl-C)
  --speed N|max    factor faster than real time; needs --for (default: 1)
  --replay         replay recorded flights (test files of igc-xc-score) instead of a simulated race
  --incidents      entries have the incidents below; the only random faults are records sent twice
  --stream KEY     stream to add to (default: REDIS_TELEMETRY_STREAM)
  --max-length N   approximate length to which the stream is trimmed (default: 1000000)
  --help

Incidents of a race on the course of deploy/directus/seed.sql:
${incidents.map(({ number, description }) => `  No. ${number}  ${description}`).join('\n')}

REDIS_URL is the Redis to connect to.
Exit codes: 0 done, 1 failed, 2 wrong usage or missing setting, 69 Redis does not answer.`;

const options = {
  vehicles: wholeNumber(50, { from: 1, to: 100_000 }),
  seed: wholeNumber(1, { from: 0 }),
  for: duration(undefined),
  speed: string(),
  replay: flag(),
  incidents: flag(),
  stream: string(),
  'max-length': wholeNumber(1_000_000, { from: 1 }),
};

/** Returns undefined for `--help`. @throws UsageError with all problems. */
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
      problems.push(
        'exactly one stream must be given by --stream or REDIS_TELEMETRY_STREAM, for example telemetry:teltonika',
      );
    }
    if (!(speed > 0)) problems.push('--speed must be a number above 0, or max');
    // Without an end the race would overtake the clock and send fixes of the future.
    if (speed !== 1 && values.for === undefined) problems.push('--speed needs --for');
    if (values.incidents && values.replay) {
      problems.push('--incidents happen in a simulated race: leave out --replay or --incidents');
    }
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
    hasIncidents: asked.values.incidents,
    maxLength,
  };
}

function readSpeed(given = '1'): number {
  return given === 'max' ? Infinity : Number(given);
}
