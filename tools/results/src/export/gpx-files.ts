import type { Assignment, Entry, Stage } from '@app/race/course';
import { densify, timestampParameter } from '@app/runtime/postgres';
import type { TransactionSql } from 'postgres';
import { Refusal } from '../refusal.ts';
import type { ExportedRace } from './exported-race.ts';
import {
  gpxEnd,
  gpxPoint,
  type GpxPoint,
  gpxStart,
  gpxTrackEnd,
  gpxTrackStart,
  segmentBreak,
} from './gpx.ts';
import { readRows } from './read-rows.ts';
import type { OutputFile } from './write-output.ts';

/** What one `trk` has: the good fixes of a tracker within these times, both ends included. */
interface Track {
  readonly name: string;
  readonly deviceId: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * A file for each entry with a good fix, with a track for each of its trackers and, with `--stage`, for each stage from
 * its start to its finish. Time-ordered; where fixes are farther apart than `maximumGapS`, a new segment begins.
 *
 * @param withoutFixes gets the numbers of the other entries
 */
export async function* gpxFiles(
  sql: TransactionSql,
  exported: ExportedRace,
  withoutFixes: string[],
): AsyncGenerator<OutputFile> {
  const { event, entries, assignments } = exported.race;
  const driven = exported.stages && (await readDriven(sql, event.id));
  const usedNames = new Set<string>();
  for (const entry of entries) {
    const own = assignments.filter(({ entryId }) => entryId === entry.id);
    const tracks: Track[] = [];
    for (const track of listTracks(exported, entry, own, driven)) {
      if (await hasGoodFix(sql, track)) tracks.push(track);
    }
    if (tracks.length === 0) withoutFixes.push(entry.number);
    else
      yield {
        name: fileName(entry.number, usedNames),
        parts: readGpx(sql, event.name, tracks, event.thresholds.maximumGapS),
      };
  }
  if (usedNames.size === 0) {
    throw new Refusal(
      'no entry of the event has a good fix in its time; check start and end of the event and who has which tracker',
    );
  }
}

async function* readGpx(
  sql: TransactionSql,
  name: string,
  tracks: readonly Track[],
  maximumGapS: number,
): AsyncGenerator<string> {
  yield gpxStart(name);
  for (const track of tracks) {
    yield gpxTrackStart(track.name);
    let previousMs: number | undefined;
    for await (const rows of readRows<GpxPoint>(sql, selectFixes, valuesOf(track))) {
      let part = '';
      for (const row of rows) {
        if (previousMs !== undefined && row.atMs - previousMs > maximumGapS * 1000) part += segmentBreak;
        part += gpxPoint(row);
        previousMs = row.atMs;
      }
      yield part;
    }
    yield gpxTrackEnd;
  }
  yield gpxEnd;
}

const goodFixes = `
    from positions
   where device_id = $1 and ts >= $2::text::timestamptz and ts <= $3::text::timestamptz
     and quality = 0 and not faulty`;
const selectFixes = `
  select round(extract(epoch from ts) * 1000)::float8 as "atMs", latitude, longitude, altitude as "altitudeM",
         speed as "speedKmh", angle as "courseDegrees" ${goodFixes}
   order by ts`;

async function hasGoodFix(sql: TransactionSql, track: Track): Promise<boolean> {
  const found = await sql.unsafe(`select ${goodFixes} limit 1`, valuesOf(track));
  return found.length > 0;
}

function valuesOf({ deviceId, fromMs, untilMs }: Track): string[] {
  return [deviceId, timestampParameter(fromMs), timestampParameter(untilMs)];
}

/** From when until when each entry was on each stage; without an end if it has not finished. */
type Driven = ReadonlyMap<string, { readonly fromMs: number; readonly untilMs: number }>;

async function readDriven(sql: TransactionSql, eventId: string): Promise<Driven> {
  const rows = densify(
    await sql.unsafe<{ entryId: string; stageId: string; fromMs: number; untilMs: number | null }[]>(
      `select entry_id as "entryId", stage_id as "stageId", extract(epoch from start_at)::float8 * 1000 as "fromMs",
              extract(epoch from finish_at)::float8 * 1000 as "untilMs"
         from stage_results where event_id = $1::uuid and start_at is not null`,
      [eventId],
    ),
  );
  return new Map(
    rows.map(({ entryId, stageId, fromMs, untilMs }) => [
      `${entryId}/${stageId}`,
      { fromMs, untilMs: untilMs ?? Infinity },
    ]),
  );
}

function listTracks(
  { race: { event }, stages }: ExportedRace,
  entry: Entry,
  assignments: readonly Assignment[],
  driven: Driven | undefined,
): readonly Track[] {
  const { startAtMs = -Infinity, endAtMs = Infinity } = event;
  const windows: readonly { readonly stage?: Stage; readonly fromMs: number; readonly untilMs: number }[] =
    stages === undefined
      ? [{ fromMs: startAtMs, untilMs: endAtMs }]
      : stages.flatMap((stage) => {
          const window = driven?.get(`${entry.id}/${stage.id}`);
          return window ? [{ stage, fromMs: window.fromMs, untilMs: Math.min(window.untilMs, endAtMs) }] : [];
        });
  const who = [entry.number, entry.crew].filter((part) => part !== '').join(' ');
  return windows.flatMap(({ stage, fromMs, untilMs }) =>
    assignments
      .toSorted((a, b) => a.order - b.order)
      .map((assignment, n) => ({
        name: [who, stage?.name, n === 0 ? undefined : `tracker ${n + 1}`]
          .filter((part) => part !== undefined)
          .join(', '),
        deviceId: assignment.deviceId,
        fromMs: Math.max(fromMs, assignment.fromMs ?? -Infinity),
        untilMs: Math.min(untilMs, assignment.untilMs ?? Infinity),
      })),
  );
}

/** Of the start number, which may have any characters; numbers that differ in others only are told apart. */
function fileName(number: string, used: Set<string>): string {
  const base = `entry-${number.replaceAll(/[^\w.-]/gu, '_').slice(0, 100)}`;
  let name = base;
  // File systems may not distinguish upper from lower case.
  for (let n = 2; used.has(name.toLowerCase()); n += 1) name = `${base}-${n}`;
  used.add(name.toLowerCase());
  return `${name}.gpx`;
}
