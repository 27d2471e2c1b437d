import type { Zone } from '../course.ts';
import type { Fix } from '../fix.ts';
import type { SpeedingEpisode } from '../observation.ts';

interface Visit {
  readonly drivenM: number;
  episode: SpeedingEpisode | undefined;
  episodes: SpeedingEpisode[];
}

/** A part of the movement between two fixes that is inside the zone. */
interface Drive {
  readonly from: Fix;
  readonly to: Fix;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly lengthM: number;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * Adds what was driven above limit and tolerance to the visit's episode. Between two fixes the speed goes linearly from
 * one to the other, so that an episode begins and ends between fixes and not with them. The first metres of the visit
 * (`graceM`) do not count. The metres gained are those driven faster than the limit, without the tolerance.
 */
export function judgeSpeeds(visit: Visit, zone: Zone, drive: Drive): void {
  const ungraced = withoutGrace(drive, zone.graceM - visit.drivenM);
  const speeding = ungraced && spanAbove(drive, ungraced, zone.limitKmh + zone.toleranceKmh);
  if (!speeding) {
    endEpisode(visit, zone);
    return;
  }
  const fromKmh = speedAt(drive, speeding.fromMs);
  const untilKmh = speedAt(drive, speeding.untilMs);
  const durationS = (speeding.untilMs - speeding.fromMs) / 1000;
  const gainedM = (((fromKmh + untilKmh) / 2 - zone.limitKmh) / 3.6) * durationS;
  const maximumKmh = Math.max(fromKmh, untilKmh);
  const { episode } = visit;
  if (episode && episode.untilMs === speeding.fromMs) {
    visit.episode = {
      fromMs: episode.fromMs,
      untilMs: speeding.untilMs,
      maximumKmh: Math.max(episode.maximumKmh, maximumKmh),
      gainedM: episode.gainedM + gainedM,
      fixes: { beforeAtMs: episode.fixes.beforeAtMs, afterAtMs: drive.to.fixAtMs },
    };
    return;
  }
  endEpisode(visit, zone);
  const fixes = { beforeAtMs: drive.from.fixAtMs, afterAtMs: drive.to.fixAtMs };
  visit.episode = { ...speeding, maximumKmh, gainedM, fixes };
}

/** Keeps the episode if it lasted for the minimum duration: noise at the limit makes many short ones. */
function endEpisode(visit: Visit, zone: Zone): void {
  const { episode } = visit;
  if (episode && episode.untilMs - episode.fromMs >= zone.minimumDurationS * 1000)
    visit.episodes.push(episode);
  visit.episode = undefined;
}

function withoutGrace({ fromMs, untilMs, lengthM }: Drive, graceM: number): Span | undefined {
  if (graceM <= 0) return { fromMs, untilMs };
  if (graceM >= lengthM) return undefined;
  return { fromMs: fromMs + (graceM / lengthM) * (untilMs - fromMs), untilMs };
}

function spanAbove(drive: Drive, { fromMs, untilMs }: Span, thresholdKmh: number): Span | undefined {
  const fromKmh = speedAt(drive, fromMs);
  const untilKmh = speedAt(drive, untilMs);
  if (untilMs <= fromMs || (fromKmh <= thresholdKmh && untilKmh <= thresholdKmh)) return undefined;
  const atMs = fromMs + ((thresholdKmh - fromKmh) / (untilKmh - fromKmh)) * (untilMs - fromMs);
  if (fromKmh <= thresholdKmh) return { fromMs: atMs, untilMs };
  return { fromMs, untilMs: untilKmh <= thresholdKmh ? atMs : untilMs };
}

function speedAt({ from, to }: Drive, atMs: number): number {
  const share = to.fixAtMs > from.fixAtMs ? (atMs - from.fixAtMs) / (to.fixAtMs - from.fixAtMs) : 0;
  return from.speedKmh + share * (to.speedKmh - from.speedKmh);
}
