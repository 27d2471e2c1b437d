import { flag, readArguments as read, string, strings } from '@app/runtime/read-arguments';
import { isDay } from './import/read-time.ts';

export const usage = `usage: ./run results <command> --event ID [options]

commands
  evaluate            compute the results of an event from its stored fixes, and write what differs with its history.
                      While the event is running the processor does it, and the command is refused
  export              write the results or tracks of an event to files
  import-start-list   add and update the entries of an event in Directus from a CSV file

evaluate
  --dry-run           print what would change; write nothing

export
  --format FORMAT     csv: a directory with classification.csv, stage-results.csv and passings.csv
                      json: one file with all tables of results and the history
                      gpx: a directory with the tracks of each entry, of good fixes (personal data)
  --stage STAGE       only this stage, by name or id; may be given several times
  --output PATH       file or directory to write, which must not exist yet (default: results-ID.json, results-ID-FORMAT)

import-start-list
  --file FILE         CSV with the columns number, crew, class, start_order and, optionally, start_at and devices
  --time-zone ZONE    of times without an offset, such as Europe/Helsinki
  --date DATE         of times without a date, such as 2026-07-04
  --dry-run           check the file and print what would change; write nothing

  --help

evaluate and export need POSTGRES_URL, with the login of the migrations: the services may not read everything.
evaluate announces what it wrote to the gateways if REDIS_URL is set. import-start-list needs DIRECTUS_BASE_URL and
DIRECTUS_TOKEN, or DIRECTUS_TOKEN_FILE, of somebody who may edit entries. docs/results.md describes files and columns.
Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 69 a server does not answer, 78 missing or invalid setting.`;

export const formats = ['csv', 'json', 'gpx'] as const;
export type Format = (typeof formats)[number];

export type ResultsArguments = { readonly eventId: string } & (
  | { readonly command: 'evaluate'; readonly isDryRun: boolean }
  | {
      readonly command: 'export';
      readonly format: Format;
      /** Names or ids; all stages if empty. */
      readonly stages: readonly string[];
      readonly output: string;
    }
  | {
      readonly command: 'import-start-list';
      readonly file: string;
      readonly date: string | undefined;
      readonly timeZone: string | undefined;
      readonly isDryRun: boolean;
    }
);

const options = {
  event: string(),
  'dry-run': flag(),
  format: string(),
  stage: strings(),
  output: string(),
  file: string(),
  date: string(),
  'time-zone': string(),
};

const optionsOf: Readonly<Record<ResultsArguments['command'], readonly (keyof typeof options)[]>> = {
  evaluate: ['event', 'dry-run'],
  export: ['event', 'format', 'stage', 'output'],
  'import-start-list': ['event', 'file', 'date', 'time-zone', 'dry-run'],
};

/** Returns undefined for `--help`. @throws UsageError with all problems. */
export function readArguments(args: readonly string[]): ResultsArguments | undefined {
  if (args[0] === 'help') return undefined;
  const asked = read(args, options, (values, [word, ...rest]) => {
    const problems = rest.map((each) => `unexpected argument '${each}'`);
    const known = word !== undefined && isCommand(word) ? optionsOf[word] : undefined;
    if (known === undefined)
      problems.push(word === undefined ? 'no command given' : `unknown command ${word}`);
    const { event, format, file, date, 'time-zone': timeZone } = values;
    if (event === undefined) problems.push('--event is missing: the id of the event');
    else if (!isUuid(event))
      problems.push(`--event must be an id such as 5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1`);
    for (const [name, value] of Object.entries(values)) {
      const isGiven = Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
      if (known && isGiven && !known.some((each) => each === name)) {
        problems.push(`--${name} does not apply to ${word}`);
      }
    }
    if (word === 'export' && !formats.some((each) => each === format)) {
      problems.push(`--format must be one of ${formats.join(', ')}`);
    }
    if (word === 'import-start-list' && file === undefined) problems.push('--file is missing: a CSV file');
    if (date !== undefined && !isDay(date)) problems.push('--date must be a day such as 2026-07-04');
    if (date !== undefined && timeZone === undefined) problems.push('--date needs --time-zone');
    if (timeZone !== undefined && !isTimeZone(timeZone)) {
      problems.push('--time-zone must be the name of a time zone, such as Europe/Helsinki or UTC');
    }
    return problems;
  });
  if (asked === undefined) return undefined;
  const [command] = asked.positionals;
  const { event = '', format: given, stage, output, file = '', date, ...others } = asked.values;
  const eventId = event.toLowerCase();
  const isDryRun = others['dry-run'];
  if (command === 'evaluate') return { command, eventId, isDryRun };
  if (command === 'import-start-list') {
    return { command, eventId, file, date, timeZone: others['time-zone'], isDryRun };
  }
  const format = formats.find((each) => each === given) ?? 'json';
  const base = `results-${eventId}`;
  const path = output ?? (format === 'json' ? `${base}.json` : `${base}-${format}`);
  return { command: 'export', eventId, format, stages: stage, output: path };
}

function isCommand(word: string): word is ResultsArguments['command'] {
  return Object.hasOwn(optionsOf, word);
}

function isUuid(value: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(value);
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
