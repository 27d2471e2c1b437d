import {
  duration,
  flag,
  readArguments as read,
  string,
  strings,
  wholeNumber,
} from '@app/runtime/read-arguments';
import type { Selection } from './select-dead-letters.ts';

export const usage = `usage: ./run dlq <command> [selection] [options]

Dead letters are entries that the processor could not store, kept with the reason.

commands
  list                count them by reason, with their age
  list --letters      list them one by one, without their content
  show SELECTION      print everything, including the position (personal data)
  replay SELECTION    move them back to their stream, one at a time and atomically;
                      one that fails again becomes one new dead letter
  purge SELECTION --yes
                      delete them for good; without --yes, only count them

selection (all conditions must hold)
  ID ...              ids of the dead letters, from 'list --letters'
  --entry ID          id of the original entry, from the processor's log
  --reason CODE       reason, from 'list'
  --older-than 7d     minimum age (s, m, h or d)
  --all

options
  --stream NAME       stream, or several separated by commas (default: REDIS_TELEMETRY_STREAM)
  --limit N           maximum number that list --letters and show print (default: 100)
  --per-second N      maximum rate of replay (default: 1000)
  --anyway            replay although so many would be rejected again that they can
                      stop the stream; then the processor needs DLQ_ACCEPT_REASONS
  --json              print JSON; bytes that are not UTF-8 as base64
  --help

REDIS_URL is the Redis to connect to; FUTURE_LIMIT_MS is as for the processor. Exit codes: 0 done, 1 failed or an id was not found, 2 wrong usage,
69 Redis does not answer, 78 missing or invalid setting, 130 interrupted.`;

const commands = ['list', 'show', 'replay', 'purge'] as const;

export interface DlqArguments {
  readonly command: (typeof commands)[number];
  readonly selection: Selection;
  /** Default: REDIS_TELEMETRY_STREAM. */
  readonly stream: string | undefined;
  readonly isEach: boolean;
  readonly isConfirmed: boolean;
  readonly limit: number;
  readonly perSecond: number;
  readonly isForced: boolean;
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
  anyway: flag(),
  json: flag(),
};

/** Returns undefined for `--help`. @throws UsageError with all problems. */
export function readArguments(args: readonly string[]): DlqArguments | undefined {
  if (args[0] === 'help') return undefined;
  const asked = read(args, options, (values, [word, ...ids]) => {
    const { entry, reason, 'older-than': olderThanMs, all, stream } = values;
    const problems: string[] = [];
    if (word === undefined) problems.push('no command given');
    else if (!commands.some((known) => known === word)) problems.push(`unknown command ${word}`);
    for (const id of [...ids, ...entry]) {
      if (!isEntryId(id)) problems.push(`${JSON.stringify(id)} is not an id such as 1732412345678-0`);
    }
    const hasFilter = entry.length > 0 || reason.length > 0 || olderThanMs !== undefined;
    if (all && (ids.length > 0 || hasFilter))
      problems.push('--all cannot be combined with ids, --entry, --reason or --older-than');
    if (['show', 'replay', 'purge'].includes(word ?? '') && !all && ids.length === 0 && !hasFilter) {
      problems.push('no selection: give ids, --entry, --reason, --older-than or --all');
    }
    if (stream?.split(',').some((name) => name.trim().endsWith(':dlq')) === true) {
      problems.push("--stream is the telemetry stream: omit ':dlq'");
    }
    const only = (name: string, isGiven: boolean, owner: string): void => {
      if (isGiven && word !== owner) problems.push(`--${name} only applies to ${owner}`);
    };
    only('letters', values.letters, 'list');
    only('yes', values.yes, 'purge');
    only('anyway', values.anyway, 'replay');
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
    isForced: values.anyway,
    isJson: values.json,
  };
}

/** Two unsigned 64-bit numbers without leading zeros; both parts are required. */
function isEntryId(text: string): boolean {
  const [, ...parts] = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})$/u.exec(text) ?? [];
  return parts.length === 2 && parts.every((part) => BigInt(part) < 2n ** 64n);
}
