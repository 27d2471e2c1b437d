import {
  duration,
  flag,
  readArguments as read,
  string,
  strings,
  wholeNumber,
} from '@app/runtime/read-arguments';
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

const options = {
  stream: string(),
  entry: strings(),
  reason: strings(),
  'older-than': duration(undefined),
  all: flag(),
  letters: flag(),
  yes: flag(),
  limit: wholeNumber(100, { from: 1 }),
  'per-second': wholeNumber(undefined, { from: 1 }),
  json: flag(),
};

/** Undefined if help was asked for. @throws UsageError */
export function readArguments(args: readonly string[]): DlqArguments | undefined {
  if (args[0] === 'help') return undefined;
  const asked = read(args, options, (values, [word, ...ids]) => {
    const { entry, reason, 'older-than': olderThanMs, all, stream } = values;
    const problems: string[] = [];
    if (word === undefined) problems.push('which command?');
    else if (!commands.some((known) => known === word)) problems.push(`there is no command ${word}`);
    for (const id of [...ids, ...entry]) {
      if (!isEntryId(id)) problems.push(`${JSON.stringify(id)} is no id; one looks like 1732412345678-0`);
    }
    const hasFilter = entry.length > 0 || reason.length > 0 || olderThanMs !== undefined;
    if (all && (ids.length > 0 || hasFilter))
      problems.push('--all leaves no choice: take it away, or the rest');
    if (['show', 'replay', 'purge'].includes(word ?? '') && !all && ids.length === 0 && !hasFilter) {
      problems.push('which letters? Name ids, --entry, --reason, --older-than or --all');
    }
    if (stream?.split(',').some((name) => name.trim().endsWith(':dlq')) === true) {
      problems.push("--stream names the stream itself: leave ':dlq' out");
    }
    const only = (name: string, isGiven: boolean, owner: string): void => {
      if (isGiven && word !== owner) problems.push(`--${name} is for ${owner}`);
    };
    only('letters', values.letters, 'list');
    only('yes', values.yes, 'purge');
    only('per-second', values['per-second'] !== undefined, 'replay');
    return problems;
  });
  const [word, ...ids] = asked?.positionals ?? [];
  const command = commands.find((known) => known === word);
  if (asked === undefined || command === undefined) return undefined;
  const { values } = asked;
  const { entry, reason, 'older-than': olderThanMs } = values;
  return {
    command,
    selection: {
      ...(ids.length > 0 && { ids: new Set(ids) }),
      ...(entry.length > 0 && { entryIds: new Set(entry) }),
      ...(reason.length > 0 && { reasons: new Set(reason) }),
      ...(olderThanMs !== undefined && { olderThanMs }),
    },
    stream: values.stream,
    isEach: values.letters,
    isConfirmed: values.yes,
    limit: values.limit,
    perSecond: values['per-second'] ?? 1000,
    isJson: values.json,
  };
}

/** Both parts are unsigned 64-bit numbers, as Redis writes them: no sign, no leading zeros, never half an id. */
function isEntryId(text: string): boolean {
  const [, ...parts] = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/u.exec(text) ?? [];
  return parts.length === 2 && parts.every((part) => BigInt(part) < 2n ** 64n);
}
