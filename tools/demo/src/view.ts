import type { StartListEntry } from '@app/fleet-sim/start-list';
import type { Progress } from './progress.ts';

/** process.stdout, or a test's. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

export interface View {
  show(progress: Progress): void;
  /** Leaves the last output, with the cursor below it. */
  [Symbol.dispose](): void;
}

export interface ViewOptions {
  readonly screen: Screen;
  /** Undefined until the race is live. */
  readonly startedAtMs: () => number | undefined;
  readonly durationMs: number | undefined;
  /** A vehicle is shown by its number. */
  readonly entries: readonly StartListEntry[];
}

/** Redraws in place on a terminal, prints a line every two seconds elsewhere. */
export function createView(options: ViewOptions): View {
  return options.screen.isTTY === true ? createTerminalView(options) : createLineView(options);
}

const hideCursor = '\u001B[?25l';
const showCursor = '\u001B[?25h';
const clearBelow = '\u001B[J';
const frameRows = 9;
const maxVehicles = 12;
/** Trackers report on the full second: a rate over a shorter period would flicker. */
const ratePeriodMs = 4_000;

function createTerminalView(options: ViewOptions): View {
  const { screen } = options;
  let drawnRows = 0;
  let past: readonly Progress[] = [];
  screen.write(hideCursor);
  return {
    show: (progress) => {
      const vehicles = Math.max(0, Math.min(maxVehicles, (screen.rows ?? 24) - frameRows));
      const rows = [
        ...describeCounts(options, progress, past[0]),
        ...describeVehicles(options, progress, vehicles),
      ];
      // A line that wraps would take two rows and misplace the cursor.
      const text = rows.map((row) => row.slice(0, (screen.columns ?? 80) - 1)).join('\n');
      const back = drawnRows === 0 ? '' : `\u001B[${drawnRows}A\r`;
      screen.write(`${back}${clearBelow}${text}\n`);
      drawnRows = rows.length;
      past = [...past, progress].filter(({ atMs }) => progress.atMs - atMs < ratePeriodMs);
    },
    [Symbol.dispose]: () => {
      screen.write(showCursor);
    },
  };
}

const lineEveryMs = 2_000;

function createLineView({ screen, startedAtMs }: ViewOptions): View {
  let before: Progress | undefined;
  return {
    show: (progress) => {
      if (before !== undefined && progress.atMs - before.atMs < lineEveryMs) return;
      const { sent, stored, lagEntries, received, p50Ms } = progress;
      screen.write(
        `${clock(progress.atMs, startedAtMs())}  sent ${sent.records}  stored ${shown(stored)} (${rate(progress, before)})  lag ${shown(lagEntries)}  received ${received}  fix to client ${shown(p50Ms)} ms\n`,
      );
      before = progress;
    },
    [Symbol.dispose]: () => undefined,
  };
}

function describeCounts(
  { startedAtMs, durationMs }: ViewOptions,
  progress: Progress,
  before?: Progress,
): string[] {
  const { sent, stored, duplicates, deadLetters, lagEntries, lagS, pending, received, p50Ms, p99Ms } =
    progress;
  const end = durationMs === undefined ? 'Ctrl-C to stop' : `of ${clock(durationMs, 0)}`;
  return [
    `${clock(progress.atMs, startedAtMs())} ${end}`,
    '',
    `  sent       ${shown(sent.records).padEnd(10)} ${sent.distinct} fixes, ${sent.duplicates} of them twice`,
    `  stored     ${shown(stored).padEnd(10)} ${rate(progress, before)}, ${shown(duplicates)} duplicates, ${shown(deadLetters)} dead letters`,
    `  lag        ${shown(lagEntries).padEnd(10)} ${lagS?.toFixed(1) ?? '–'} s behind, ${shown(pending)} pending`,
    `  received   ${shown(received).padEnd(10)} fix to client p50 ${shown(p50Ms)} ms, p99 ${shown(p99Ms)} ms`,
    '',
  ];
}

function describeVehicles({ entries }: ViewOptions, { newest, atMs }: Progress, count: number): string[] {
  if (count === 0) return [];
  const numbers = new Map(entries.flatMap(({ number, imeis }) => imeis.map((imei) => [imei, number])));
  return [
    '  vehicle   latitude  longitude  km/h  course  altitude    age',
    ...newest.slice(0, count).map((position) => {
      const { deviceId, lat, lon, ts, speed, course, altitude } = position;
      return [
        `  ${`#${numbers.get(deviceId) ?? '?'}`.padEnd(7)}`,
        lat.toFixed(5).padStart(10),
        lon.toFixed(5).padStart(10),
        shown(speed).padStart(5),
        `${shown(course)}°`.padStart(7),
        `${shown(altitude)} m`.padStart(9),
        `${((atMs - ts) / 1000).toFixed(1)} s`.padStart(6),
      ].join(' ');
    }),
  ];
}

/** Fixes stored per second since `before`. */
function rate(progress: Progress, before: Progress | undefined): string {
  if (progress.stored === undefined || before?.stored === undefined) return '– fixes/s';
  const perS = ((progress.stored - before.stored) * 1000) / (progress.atMs - before.atMs);
  return `${Math.round(perS)} fixes/s`;
}

function shown(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : String(value);
}

function clock(atMs: number, sinceMs = atMs): string {
  const seconds = Math.max(0, Math.round((atMs - sinceMs) / 1000));
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`;
}
