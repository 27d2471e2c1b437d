import { Refusal } from '../refusal.ts';

/** A record of a CSV file: its cells by column name, and the line on which it begins, from 1. */
export interface CsvRecord {
  readonly line: number;
  readonly cells: ReadonlyMap<string, string>;
}

export interface CsvTable {
  /** Names of the columns: lower case, with `_` for spaces. */
  readonly columns: readonly string[];
  readonly records: readonly CsvRecord[];
  /** Of records with more cells than there are columns. */
  readonly problems: readonly CsvProblem[];
}

export interface CsvProblem {
  readonly line: number;
  readonly message: string;
}

const delimiters = [',', ';', '\t'];

/**
 * Reads a file as RFC 4180 has it, or as Excel writes it: with a byte order mark, semicolons or tabs. Cells are trimmed,
 * empty lines left out.
 *
 * @throws {Refusal} it is not UTF-8, is empty, or has a quotation mark that cannot be understood
 */
export function readCsv(bytes: Uint8Array): CsvTable {
  const text = decode(bytes);
  const headLine = text.split(/\r\n|\r|\n/u, 1)[0] ?? '';
  const counts = delimiters.map((delimiter) => headLine.split(delimiter).length);
  const delimiter = delimiters[counts.indexOf(Math.max(...counts))] ?? ',';
  const [head, ...rest] = splitRecords(text, delimiter).filter(({ cells }) =>
    cells.some((cell) => cell !== ''),
  );
  if (!head) throw new Refusal('the file is empty; its first line must name the columns');
  const columns = head.cells.map((name) => name.toLowerCase().replaceAll(/\s+/gu, '_'));
  const repeated = columns.find((name, n) => name !== '' && columns.indexOf(name) < n);
  if (repeated !== undefined) throw new Refusal(`line ${head.line}: the column ${repeated} is there twice`);
  const problems: CsvProblem[] = [];
  const records = rest.map(({ line, cells }) => {
    if (cells.length > columns.length) {
      const message = `has ${cells.length} cells for ${columns.length} columns; put cells with a ${JSON.stringify(delimiter)} in quotation marks`;
      problems.push({ line, message });
    }
    return { line, cells: new Map(columns.map((name, n) => [name, cells[n] ?? ''])) };
  });
  return { columns, records, problems };
}

function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new Refusal('the file is UTF-16 ("Unicode Text"); save it as "CSV UTF-8"');
  }
  try {
    // Leaves out a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Refusal('the file is not UTF-8; save it as "CSV UTF-8"', undefined, { cause: error });
  }
}

function splitRecords(
  text: string,
  delimiter: string,
): readonly { readonly line: number; readonly cells: readonly string[] }[] {
  // A cell with the delimiter, the end of the line or that of the text after it.
  const cell = new RegExp(
    `(?:[ ]*"((?:[^"]|"")*)"[ ]*|([^"${delimiter}\\r\\n]*))(${delimiter}|\\r\\n|\\r|\\n|$)`,
    'uy',
  );
  const records: { line: number; cells: string[] }[] = [];
  let line = 1;
  let record = { line, cells: new Array<string>() };
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    if (!match) {
      throw new Refusal(
        `line ${line}: a quotation mark is not closed, or stands within a cell; write "" for one, and the cell in quotation marks`,
      );
    }
    const [whole, quoted, plain = '', end] = match;
    record.cells.push((quoted?.replaceAll('""', '"') ?? plain).trim());
    line += whole.match(/\r\n|\r|\n/gu)?.length ?? 0;
    if (end === delimiter) continue;
    records.push(record);
    record = { line, cells: [] };
  }
  if (record.cells.length > 0) records.push(record);
  return records;
}
