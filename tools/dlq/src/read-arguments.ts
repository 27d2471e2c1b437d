import { parseArgs } from 'node:util';
import { readDuration } from '@app/fleet-sim/read-duration';
import { Refusal, wrongUsage } from './refusal.ts';
import type { Selection } from './select-letters.ts';

export const usage = `usage: ./run dlq <command> [which letters] [options]

What the processor could not store waits in the stream's dead letters, with the reason.

commands
  list                how many there are, by reason, and how old they are
  list --letters      each of them, without what it holds
  show WHICH          all of a letter, its position too: personal data
  replay WHICH        puts letters back on their stream and takes them out of the dead letters, each
                      in one step; one that fails again comes back as one new letter
  purge WHICH --yes   deletes letters for good; without --yes it says how many that would be

which letters; several conditions must all hold
  ID ...              their own ids, as 'list --letters' names them
  --entry ID          the id that the entry had on its stream, as the processor's log names it
  --reason CODE       as 'list' names it
  --older-than 7d     parked longer ago than this (s, m, h or d)
  --all

options
  --stream NAME       the stream, or several with commas between; REDIS_TELEMETRY_STREAM unless given
  --limit N           list --letters and show: so many at the most (100)
  --per-second N      replay: so many a second at the most (1000)
  --json              for a program to read; bytes that are no text come in base64
  --help

REDIS_URL names the Redis. Exit codes: 0 done, 1 failed or a letter that was named is not there, 2 a wrong
command line, 69 Redis does not answer, 78 a setting is missing or wrong, 130 interrupted.`;

const commands = ['list', 'show', 'replay', 'purge'] as const;

export interface DlqArguments {
  readonly command: (typeof commands)[number];
  readonly selection: Selection;
  /** As given; without it the environment's. */
  readonly stream: string | undefined;
  readonly isEach: boolean;
  readonly isConfirmed: boolean;
  readonly limit: number;
  readonly perSecond: number;
  readonly isJson: boolean;
}

/** @throws Refusal with all that is wrong; returns undefined where only help is asked for. */
export function readArguments(args: readonly string[]): DlqArguments | undefined {
  const { values, positionals } = parse(args);
  const [word, ...ids] = positionals;
  if (values.help === true || word === 'help') return undefined;
  const problems: string[] = [];
  const command = commands.find((known) => known === word);
  if (command === undefined)
    problems.push(word === undefined ? 'which command?' : `there is no command ${word}`);

  for (const id of [...ids, ...(values.entry ?? [])]) {
    if (!isEntryId(id)) problems.push(`${JSON.stringify(id)} is no id; one looks like 1732412345678-0`);
  }
  const olderThan = values['older-than'];
  const olderThanMs = olderThan === undefined ? undefined : readDuration(olderThan);
  if (olderThan !== undefined && olderThanMs === undefined) {
    problems.push('--older-than must be a duration such as 90s, 15m, 36h or 7d');
  }
  const hasFilter = values.entry !== undefined || values.reason !== undefined || olderThan !== undefined;
  if (values.all === true && (ids.length > 0 || hasFilter))
    problems.push('--all leaves no choice: take it away, or the rest');
  if (command !== undefined && command !== 'list' && values.all !== true && ids.length === 0 && !hasFilter) {
    problems.push('which letters? Name ids, --entry, --reason, --older-than or --all');
  }
  if (values.stream?.split(',').some((name) => name.trim().endsWith(':dlq')) === true) {
    problems.push("--stream names the stream itself: leave ':dlq' out");
  }
  const only = (option: 'letters' | 'yes' | 'per-second', owner: string): void => {
    if (values[option] !== undefined && command !== owner) problems.push(`--${option} is for ${owner}`);
  };
  only('letters', 'list');
  only('yes', 'purge');
  only('per-second', 'replay');
  const whole = (name: 'limit' | 'per-second', otherwise: number): number => {
    const value = Number(values[name] ?? otherwise);
    if (!Number.isInteger(value) || value < 1) problems.push(`--${name} must be a whole number, 1 or more`);
    return value;
  };
  const limit = whole('limit', 100);
  const perSecond = whole('per-second', 1000);

  if (command === undefined || problems.length > 0) throw new Refusal(problems.join('\n'), wrongUsage);
  return {
    command,
    selection: {
      ...(ids.length > 0 && { ids: new Set(ids) }),
      ...(values.entry !== undefined && { entryIds: new Set(values.entry) }),
      ...(values.reason !== undefined && { reasons: new Set(values.reason) }),
      ...(olderThanMs !== undefined && { olderThanMs }),
    },
    stream: values.stream,
    isEach: values.letters === true,
    isConfirmed: values.yes === true,
    limit,
    perSecond,
    isJson: values.json === true,
  };
}

/** Both parts are unsigned 64-bit numbers, as Redis writes them: no sign, no leading zeros, never half an id. */
function isEntryId(text: string): boolean {
  const [, ...parts] = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/u.exec(text) ?? [];
  return parts.length === 2 && parts.every((part) => BigInt(part) < 2n ** 64n);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        stream: { type: 'string' },
        entry: { type: 'string', multiple: true },
        reason: { type: 'string', multiple: true },
        'older-than': { type: 'string' },
        all: { type: 'boolean' },
        letters: { type: 'boolean' },
        yes: { type: 'boolean' },
        limit: { type: 'string' },
        'per-second': { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    // parseArgs says which option it does not know, or which lacks its value.
    throw new Refusal(error instanceof Error ? error.message : String(error), wrongUsage, { cause: error });
  }
}
