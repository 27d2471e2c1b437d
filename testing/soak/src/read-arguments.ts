import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { readDuration } from '@app/fleet-sim/read-duration';

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

/** What was asked for, or all that is wrong with it; undefined where only help is. */
export function readArguments(
  args: readonly string[],
): SoakArguments | { readonly problems: readonly string[] } | undefined {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        for: { type: 'string', default: '10m' },
        seed: { type: 'string' },
        rate: { type: 'string', default: '1000' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    // parseArgs says which option it does not know, or which lacks its value.
    return { problems: [error instanceof Error ? error.message : String(error)] };
  }
  if (values.help === true) return undefined;
  const problems: string[] = [];
  const durationMs = readDuration(values.for);
  if (durationMs === undefined) problems.push('--for must be a duration such as 60s, 10m or 12h');
  const whole = (name: 'seed' | 'rate', text: string, least: number, most: number): number => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isInteger(value) || value < least || value > most) {
      problems.push(`--${name} must be a whole number from ${least} to ${most}`);
    }
    return value;
  };
  const seed =
    values.seed === undefined ? randomInt(1_000_000) : whole('seed', values.seed, 0, Number.MAX_SAFE_INTEGER);
  const ratePerS = whole('rate', values.rate, 1, 100_000);
  if (durationMs === undefined || problems.length > 0) return { problems };
  return { durationMs, seed, ratePerS };
}
