/** An entry of the simulated race as a start list has it. */
export interface StartListEntry {
  readonly number: string;
  readonly crew: string;
  readonly class: string;
  readonly startOrder: number;
  /** After the first entry. */
  readonly startAfterMs: number;
  /** Of its trackers; the first one is preferred between equals. */
  readonly imeis: readonly string[];
}

const surnames = [
  'Aalto',
  'Halonen',
  'Heikkinen',
  'Hiltunen',
  'Järvinen',
  'Kallio',
  'Karjalainen',
  'Kinnunen',
  'Korhonen',
  'Laine',
  'Lehtonen',
  'Mattila',
  'Mäkelä',
  'Nieminen',
  'Niskanen',
  'Ojala',
  'Pesonen',
  'Rantanen',
  'Saarinen',
  'Salonen',
  'Toivonen',
  'Tuominen',
  'Virtanen',
];

/** @param trackers the IMEIs of each vehicle, in starting order */
export function startList(
  trackers: readonly (readonly string[])[],
  startIntervalMs: number,
): readonly StartListEntry[] {
  return trackers.map((imeis, index) => ({
    number: String(index + 1),
    crew: `${surname(index)} / ${surname(index + 5 + Math.floor(index / surnames.length))}`,
    class: `RC${2 + ((index + 1) % 3)}`,
    startOrder: index + 1,
    startAfterMs: index * startIntervalMs,
    imeis,
  }));
}

function surname(n: number): string {
  return surnames[n % surnames.length] ?? '';
}
