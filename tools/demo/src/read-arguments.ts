import { duration, flag, readArguments as read, wholeNumber } from '@app/runtime/read-arguments';

export interface DemoArguments {
  /** Undefined: until Ctrl-C. */
  readonly durationMs: number | undefined;
  readonly vehicles: number;
  readonly seed: number;
  /** How long ago the simulated race started. */
  readonly startedMs: number;
  readonly isReplay: boolean;
}

export const usage = `usage: ./run demo [options]

Runs the whole system on this machine: a simulated race with incidents, both services and a client that watches.

  --for 20s       stop after this time (ms, s, m or h); exit code 0 if every fix was stored and watched, and
                  the results are as scripted
  --started 2m    how long ago the race started, whose earlier records are sent at once (2m)
  --vehicles N    number of vehicles (50; with --replay at most 33)
  --seed N        the same seed gives the same race (1)
  --replay        recorded flights instead of a simulated race
  --help

The demo uses REDIS_URL and POSTGRES_URL where they are set: it creates a stream and a database there
and removes them at its end. Otherwise it starts both servers.`;

const options = {
  for: duration(undefined),
  vehicles: wholeNumber(50, { from: 1, to: 5000 }),
  seed: wholeNumber(1, { from: 0 }),
  started: duration(120_000),
  replay: flag(),
};

/** Undefined if help was asked for. @throws UsageError */
export function readArguments(args: readonly string[]): DemoArguments | undefined {
  const asked = read(args, options);
  if (asked === undefined) return undefined;
  const { for: durationMs, vehicles, seed, started: startedMs, replay } = asked.values;
  return { durationMs, vehicles, seed, startedMs, isReplay: replay };
}
