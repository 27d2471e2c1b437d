import { parseArgs } from 'node:util';

/** One option of a command line and how its value is read. */
interface Option<T> {
  readonly type: 'string' | 'boolean';
  readonly multiple: boolean;
  /** The value where the option is not given. */
  readonly fallback: T;
  /** Undefined for a wrong value. */
  readonly read: (given: unknown) => T | undefined;
  /** What a right value is, for the message about a wrong one. */
  readonly mustBe: string;
}

type Options = Readonly<Record<string, Option<unknown>>>;
type Values<O extends Options> = { readonly [Name in keyof O]: O[Name]['fallback'] };

/** All that is wrong with a command line, one message each. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export function flag(): Option<boolean> {
  return { type: 'boolean', multiple: false, fallback: false, read: (given) => given === true, mustBe: '' };
}

export function string(): Option<string | undefined> {
  return { type: 'string', multiple: false, fallback: undefined, read: String, mustBe: 'a string' };
}

/** An option that may be given several times. */
export function strings(): Option<readonly string[]> {
  return {
    type: 'string',
    multiple: true,
    fallback: [],
    read: (given) => (Array.isArray(given) ? given.map(String) : undefined),
    mustBe: 'strings',
  };
}

export function wholeNumber<F extends number | undefined>(
  fallback: F,
  { from, to = Number.MAX_SAFE_INTEGER }: { readonly from: number; readonly to?: number },
): Option<number | F> {
  return {
    type: 'string',
    multiple: false,
    fallback,
    read: (given) => {
      const value = /^\d+$/u.test(String(given)) ? Number(given) : Number.NaN;
      return value >= from && value <= to ? value : undefined;
    },
    mustBe:
      to === Number.MAX_SAFE_INTEGER
        ? `a whole number of at least ${from}`
        : `a whole number from ${from} to ${to}`,
  };
}

/** In milliseconds. */
export function duration<F extends number | undefined>(fallback: F): Option<number | F> {
  return {
    type: 'string',
    multiple: false,
    fallback,
    read: (given) => readDuration(String(given)),
    mustBe: 'a duration such as 500ms, 20s, 5m, 1h or 7d',
  };
}

/**
 * Reads a command line. `--help` and `-h` are known; with them it returns undefined.
 *
 * @param check returns what else is wrong; an option with a wrong value has its fallback there.
 * @throws UsageError with all problems at once.
 */
export function readArguments<O extends Options>(
  args: readonly string[],
  options: O,
  check: (values: Values<O>, positionals: readonly string[]) => readonly string[] = (_, positionals) =>
    positionals.map((each) => `unexpected argument '${each}'`),
): { readonly values: Values<O>; readonly positionals: readonly string[] } | undefined {
  const { values: given, positionals } = parse(args, options);
  if (given['help'] === true) return undefined;
  const problems: string[] = [];
  const read = Object.entries(options).map(([name, { fallback, read: readValue, mustBe }]) => {
    if (given[name] === undefined) return [name, fallback];
    const value = readValue(given[name]);
    if (value === undefined) problems.push(`--${name} must be ${mustBe}`);
    return [name, value ?? fallback];
  });
  const values: Values<O> = Object.fromEntries(read);
  problems.push(...check(values, positionals));
  if (problems.length > 0) throw new UsageError(problems);
  return { values, positionals };
}

function parse(
  args: readonly string[],
  options: Options,
): { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] } {
  const known = Object.entries(options).map(([name, { type, multiple }]) => [name, { type, multiple }]);
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...Object.fromEntries(known), help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    // parseArgs names an unknown option, or one without its value.
    const message = error instanceof Error ? error.message : String(error);
    // No tool has arguments that begin with a dash.
    throw new UsageError([message.replace(/\.? To specify a positional argument starting with .*$/su, '')]);
  }
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function readDuration(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/u.exec(text) ?? [];
  const durationMs = Math.round(Number(number) * (unitsMs[unit] ?? Number.NaN));
  return durationMs > 0 ? durationMs : undefined;
}
