import { readdirSync, readFileSync } from 'node:fs';
import type { Fix } from '../../src/fix.ts';
import { dayMs, makeFix, type GivenRace, type Metres } from './race.ts';

/** A row of a table of fixes: seconds, metres east, metres north, km/h, and what is special about it. */
type FixRow = readonly [number, number, number, number, Partial<Fix>?];

/** A drive due east at a constant speed: a fix every so many seconds, the first at `from`. */
interface Drive {
  readonly fromS: number;
  readonly untilS: number;
  readonly everyS?: number;
  readonly from: Metres;
  readonly kmh: number;
}

export interface GoldenCase {
  readonly title: string;
  readonly race?: GivenRace;
  /** By tracker. */
  readonly fixes: Readonly<Record<string, readonly (FixRow | Drive)[]>>;
  /** The end of what is known; a second after the newest fix without it. */
  readonly asOfS?: number;
  /** Rows with the fields that matter, by result. A result that is not named is not compared. */
  readonly expected: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
}

const folder = new URL('../golden/', import.meta.url);

/** Files of cases by name. */
export function readGoldenFiles<Case>(
  prefix: string,
  isCase: (value: unknown) => value is Case,
): readonly (readonly [string, readonly Case[]])[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && name.endsWith('.json'))
    .map((name) => {
      const cases: unknown = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
      if (!Array.isArray(cases) || !cases.every(isCase)) throw new Error(`${name} is not a list of cases`);
      return [name, cases];
    });
}

export function isGoldenCase(value: unknown): value is GoldenCase {
  return hasMembers(value, ['title', 'fixes', 'expected']);
}

export function hasMembers(value: unknown, names: readonly string[]): boolean {
  return typeof value === 'object' && value !== null && names.every((name) => Object.hasOwn(value, name));
}

export function fixesOf(golden: GoldenCase): Map<string, readonly Fix[]> {
  return new Map(
    Object.entries(golden.fixes).map(([device, rows]) => [
      device,
      rows.flatMap((row) => ('from' in row ? driveFixes(row) : [rowFix(row)])),
    ]),
  );
}

function rowFix([atS, east, north, kmh, more]: FixRow): Fix {
  return makeFix(atS, [east, north], kmh, more);
}

function driveFixes({ fromS, untilS, everyS = 1, from: [east, north], kmh }: Drive): readonly Fix[] {
  const count = Math.round((untilS - fromS) / everyS) + 1;
  return Array.from({ length: count }, (_, index) => {
    const afterS = index * everyS;
    return makeFix(fromS + afterS, [east + (kmh / 3.6) * afterS, north], kmh);
  });
}

/** Rows as a case writes them: times in milliseconds of the day, other measures with two decimals, null for nothing. */
export function asWritten(value: unknown): unknown {
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(asWritten);
  if (typeof value === 'number') return value > dayMs / 2 ? value - dayMs : Math.round(value * 100) / 100;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, asWritten(member)]));
}
