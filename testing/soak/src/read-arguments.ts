import { randomInt } from 'node:crypto';
import { duration, readArguments as read, wholeNumber } from '@app/runtime/read-arguments';

export const usage = `usage: ./run soak [options]

Runs one or two processors under load and random faults on servers of its own, then checks that each entry is stored
exactly once or dead-lettered with its reason, and that nothing is pending.

  --for 10m       duration of load and faults (10m); Ctrl-C ends them early, and the check follows
  --seed N        repeats the load and the order of the faults
  --rate N        entries a second (1000)
  --help

Exit codes: 0 the promise was kept, 1 it was broken (the output says how), 2 invalid arguments.`;

export interface SoakArguments {
  readonly durationMs: number;
  readonly seed: number;
  readonly ratePerS: number;
}

const options = {
  for: duration(600_000),
  seed: wholeNumber(undefined, { from: 0 }),
  rate: wholeNumber(1000, { from: 1, to: 100_000 }),
};

/** Undefined if help was asked for. @throws UsageError */
export function readArguments(args: readonly string[]): SoakArguments | undefined {
  const asked = read(args, options);
  if (asked === undefined) return undefined;
  const { for: durationMs, seed = randomInt(1_000_000), rate: ratePerS } = asked.values;
  return { durationMs, seed, ratePerS };
}
