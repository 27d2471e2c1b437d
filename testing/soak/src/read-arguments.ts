import { randomInt } from 'node:crypto';
import { duration, readArguments as read, wholeNumber } from '@app/runtime/read-arguments';

export const usage = `usage: ./run soak [options]

The processor, one and at times two of it, under load and random faults on servers of its own; in the end the
proof that each entry is stored exactly once or parked with its reason, and that nothing is pending.

  --for 10m       how long there are load and faults (10m); Ctrl-C ends them early, and the proof follows
  --seed N        the same seed gives the same load and the same faults in the same order
  --rate N        entries a second (1000)
  --help

Exit codes: 0 the promise was kept, 1 it was not (what is missing is said), 2 a wrong command line.`;

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
