import { Refusal } from '../refusal.ts';
import { type CsvProblem, readCsv } from './read-csv.ts';
import { type LocalTime, readTime } from './read-time.ts';

/** An entry of a start list. */
export interface ListedEntry {
  readonly line: number;
  readonly number: string;
  readonly crew: string;
  readonly class: string;
  readonly startOrder: number | null;
  /** Undefined without the column, which leaves the times as they are. */
  readonly startAtMs: number | null | undefined;
  /** IMEIs or ids of Directus; of none, devices are left as they are. */
  readonly devices: readonly string[];
}

export interface StartList {
  readonly entries: readonly ListedEntry[];
  readonly problems: readonly CsvProblem[];
  /** Columns that mean nothing here. */
  readonly ignoredColumns: readonly string[];
}

const requiredColumns = ['number', 'crew', 'class', 'start_order'];
const optionalColumns = ['start_at', 'devices'];
/** Of `varchar(255)`. */
const maxLength = 255;

/** @throws {Refusal} the file is no CSV, lacks a column or has no entry */
export function readStartList(bytes: Uint8Array, local: LocalTime): StartList {
  const { columns, records, problems: unreadable } = readCsv(bytes);
  const missing = requiredColumns.filter((name) => !columns.includes(name));
  if (missing.length > 0) {
    throw new Refusal(
      `the first line lacks the column ${missing.join(' and ')}; it has ${columns.join(', ')}. Columns are ` +
        `${requiredColumns.join(', ')} and, if wanted, ${optionalColumns.join(' and ')}`,
    );
  }
  if (records.length === 0) throw new Refusal('the file has no entry, only the names of the columns');
  const problems: CsvProblem[] = [...unreadable];
  const entries = records.map(({ line, cells }): ListedEntry => {
    const report = (message: string): void => void problems.push({ line, message });
    const readText = (name: string): string => {
      const value = cells.get(name) ?? '';
      if (value.length > maxLength) report(`the ${name} is longer than ${maxLength} characters`);
      if (/\p{Cc}/u.test(value)) report(`the ${name} has a line break or another control character`);
      return value;
    };
    const number = readText('number');
    if (number === '') report('the number is missing');
    return {
      line,
      number,
      crew: readText('crew'),
      class: readText('class'),
      startOrder: readStartOrder(cells.get('start_order') ?? '', report),
      startAtMs: readStartAt(cells.get('start_at'), local, report),
      devices: (cells.get('devices') ?? '').split(/\s+/u).filter((device) => device !== ''),
    };
  });
  return {
    entries,
    problems: [...problems, ...findRepeated(entries)],
    ignoredColumns: columns.filter((name) => ![...requiredColumns, ...optionalColumns, ''].includes(name)),
  };
}

function readStartOrder(text: string, report: (message: string) => void): number | null {
  if (text === '') return null;
  if (/^[1-9]\d{0,8}$/u.test(text)) return Number(text);
  report(`the start_order ${JSON.stringify(text)} must be a whole number from 1`);
  return null;
}

function readStartAt(
  text: string | undefined,
  local: LocalTime,
  report: (message: string) => void,
): number | null | undefined {
  if (text === undefined || text === '') return text === '' ? null : undefined;
  const time = readTime(text, local);
  if (typeof time === 'number') return time;
  report(time.problem);
  return null;
}

function findRepeated(entries: readonly ListedEntry[]): readonly CsvProblem[] {
  const lineOf = new Map<string, number>();
  const problems: CsvProblem[] = [];
  for (const { line, number } of entries) {
    if (number === '') continue;
    const first = lineOf.get(number);
    if (first === undefined) lineOf.set(number, line);
    else problems.push({ line, message: `the number ${number} is on line ${first} already` });
  }
  return problems;
}
