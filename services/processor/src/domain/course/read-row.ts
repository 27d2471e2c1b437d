/** A row as Postgres makes JSON of it. */
export type Row = Readonly<Record<string, unknown>>;

/** What is wrong with a row: a sentence that race control can read. */
export class RowError extends Error {
  override readonly name = 'RowError';
}

/** A row and what it is called in sentences, such as `The gate Finish`. */
export interface NamedRow {
  readonly what: string;
  readonly values: Row;
}

export function nameRow(kind: string, values: Row): NamedRow {
  const name = values['name'];
  return {
    what: typeof name === 'string' && name !== '' ? `The ${kind} ${name}` : `A ${kind} without a name`,
    values,
  };
}

/** Empty for null. A number, such as a start number in a column of that type, is text as well. */
export function readText({ values }: NamedRow, column: string): string {
  const value = values[column];
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

export function readOptionalId(row: NamedRow, column: string): string | undefined {
  const value = readText(row, column);
  return value === '' ? undefined : value;
}

/** @throws {RowError} */
export function readId(row: NamedRow, column: string): string {
  return readOptionalId(row, column) ?? missing(row, column);
}

/** @throws {RowError} */
export function readOptionalNumber(row: NamedRow, column: string): number | undefined {
  const value = row.values[column];
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'number') {
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    const expected = isTime(column) ? 'a date and a time' : 'a number';
    throw new RowError(`${row.what} has the ${labelOf(column)} ${shorten(shown)}; it must be ${expected}.`);
  }
  return value;
}

/** `fallback` is for null. @throws {RowError} */
export function readNumber(row: NamedRow, column: string, fallback?: number): number {
  return readOptionalNumber(row, column) ?? fallback ?? missing(row, column);
}

/** `fallback` is for null. @throws {RowError} */
export function readChoice<const Value extends string>(
  row: NamedRow,
  column: string,
  values: readonly Value[],
  fallback?: Value,
): Value {
  const text = readText(row, column);
  if (text === '') return fallback ?? missing(row, column);
  const value = values.find((one) => one === text);
  if (value !== undefined) return value;
  const choices = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  throw new RowError(`${row.what} has the ${labelOf(column)} ${shorten(text)}; it must be ${choices}.`);
}

function missing(row: NamedRow, column: string): never {
  throw new RowError(`${row.what} has no ${labelOf(column)}.`);
}

function isTime(column: string): boolean {
  return /(?:^|_)at$/u.test(column);
}

/** `left_latitude` is `left latitude`, `radius_m` is `radius`, `stage_id` is `stage`. */
function labelOf(column: string): string {
  if (column === 'at') return 'time';
  return column.replace(/_(?:id|at|m|s|kmh)$/u, '').replaceAll('_', ' ');
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
