import { distanceM } from '@app/geometry/distance';
import { nextMembership } from '@app/geometry/zone-membership';
import type { Fix } from '../fix.ts';
import type { Bracket, Confidence, SpeedingEpisode, ZoneVisited } from '../observation.ts';
import type { PreparedZone } from '../prepare-course.ts';
import type { Thresholds } from '../thresholds.ts';
import { beginsInside, insideParts, type Part } from './inside-parts.ts';
import type { Rule } from './rule.ts';
import { judgeSpeeds } from './speeding.ts';
import { timeMovement, type TimeOnMovement } from './time-movement.ts';

export interface ZoneVisit {
  readonly zoneId: string;
  readonly fromMs: number;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
  readonly fixes: Bracket;
  /** False while it is outside, but within the hysteresis. */
  isInside: boolean;
  /** When it was last inside. */
  insideUntilMs: number;
  /** The newest fix. */
  untilMs: number;
  drivenM: number;
  /** The episode that lasts, however short. */
  episode: SpeedingEpisode | undefined;
  episodes: SpeedingEpisode[];
}

/** The visits that last; at most one a zone. */
interface ZoneState {
  visits: ZoneVisit[];
}

/**
 * A visit begins and ends where the movements cross the edge; being outside by no more than the hysteresis does not end it. In
 * a speed zone its parts inside are judged by the speeds at their fixes (`speeding.ts`).
 */
export const zoneRule: Rule<ZoneState> = {
  name: 'zone',
  version: 1,
  fixes: 'good',
  start: () => ({ visits: [] }),
  step({ zones, thresholds }, state, previous, fix, emit) {
    for (const zone of zones) {
      if (!previous) {
        if (beginsInside(zone.area, fix)) state.visits.push(beginVisit(zone, fix, fix, unseenEntry(fix)));
        continue;
      }
      const visit = state.visits.length === 0 ? undefined : findVisit(state.visits, zone.row.id);
      const { parts, isInside } = insideParts(zone.area, visit?.isInside ?? false, previous, fix);
      const [first] = parts;
      if (!visit && !first) continue;
      const current =
        visit ?? beginVisit(zone, previous, fix, edgeTime(previous, fix, first?.from ?? 0, thresholds));
      if (parts.length > 0) followParts(current, zone, previous, fix, parts, thresholds);
      current.isInside = isInside;
      current.untilMs = fix.fixAtMs;
      if (!visit) state.visits.push(current);
      if (isInside || isLeaving(zone, thresholds, fix)) continue;
      emit(visited(current, zone, false));
      state.visits.splice(state.visits.indexOf(current), 1);
    }
  },
  emitOpen({ zones }, { visits }, emit) {
    for (const visit of visits) {
      const zone = zones.find(({ row }) => row.id === visit.zoneId);
      if (zone) emit(visited(visit, zone, true));
    }
  },
};

/** A function of its own: a closure in the loop would be allocated for each zone and fix. */
function findVisit(visits: readonly ZoneVisit[], id: string): ZoneVisit | undefined {
  return visits.find(({ zoneId }) => zoneId === id);
}

/** The device was inside before it was seen; a tracker that saw the entry knows better. */
function unseenEntry(fix: Fix): TimeOnMovement {
  return { atMs: fix.fixAtMs, uncertaintyMs: 0, confidence: 'low' };
}

function beginVisit(zone: PreparedZone, from: Fix, to: Fix, entered: TimeOnMovement): ZoneVisit {
  return {
    zoneId: zone.row.id,
    fromMs: entered.atMs,
    uncertaintyMs: entered.uncertaintyMs,
    confidence: entered.confidence,
    fixes: { beforeAtMs: from.fixAtMs, afterAtMs: to.fixAtMs },
    isInside: true,
    insideUntilMs: entered.atMs,
    untilMs: to.fixAtMs,
    drivenM: 0,
    episode: undefined,
    episodes: [],
  };
}

function followParts(
  visit: ZoneVisit,
  zone: PreparedZone,
  from: Fix,
  to: Fix,
  parts: readonly Part[],
  thresholds: Thresholds,
): void {
  const lengthM = distanceM(from, to);
  const isGap = to.fixAtMs - from.fixAtMs > thresholds.maximumGapS * 1000;
  for (const part of parts) {
    const fromMs = edgeTime(from, to, part.from, thresholds).atMs;
    const untilMs = edgeTime(from, to, part.to, thresholds).atMs;
    const partM = (part.to - part.from) * lengthM;
    if (zone.row.kind === 'speed' && !isGap) {
      judgeSpeeds(visit, zone.row, { from, to, fromMs, untilMs, lengthM: partM });
    }
    visit.drivenM += partM;
    visit.insideUntilMs = untilMs;
  }
}

/** Fixes themselves have exact times; the edge is taken to be crossed at right angles. */
function edgeTime(from: Fix, to: Fix, fraction: number, { maximumGapS }: Thresholds): TimeOnMovement {
  if (fraction <= 0) return { atMs: from.fixAtMs, uncertaintyMs: 0, confidence: 'high' };
  if (fraction >= 1) return { atMs: to.fixAtMs, uncertaintyMs: 0, confidence: 'high' };
  const lengthM = distanceM(from, to);
  return timeMovement(from, to, fraction, lengthM, lengthM, maximumGapS);
}

function isLeaving(zone: PreparedZone, { edgeHysteresisM }: Thresholds, fix: Fix): boolean {
  if (!('polygon' in zone.area)) return false;
  return nextMembership(zone.area.polygon, edgeHysteresisM, 'leaving', fix) !== 'outside';
}

function visited(visit: ZoneVisit, { row }: PreparedZone, isOpen: boolean): ZoneVisited {
  const { zoneId, fromMs, uncertaintyMs, confidence, fixes, episode, episodes } = visit;
  const isLongEnough = episode && episode.untilMs - episode.fromMs >= row.minimumDurationS * 1000;
  return {
    kind: 'zone',
    zoneId,
    fromMs,
    untilMs: isOpen ? visit.untilMs : visit.insideUntilMs,
    uncertaintyMs,
    confidence,
    fixes,
    isOpen,
    episodes: isLongEnough ? [...episodes, episode] : [...episodes],
  };
}
