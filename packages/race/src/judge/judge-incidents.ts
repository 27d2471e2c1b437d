import type { Stage, Zone } from '../course.ts';
import { decisionsOf, type Decision } from '../decision.ts';
import type { SosSent, Stood } from '../observation.ts';
import type { Thresholds } from '../thresholds.ts';
import type { StageWindow } from './judge-waypoints.ts';
import type { DeviceSeen } from './device-seen.ts';
import { mergeDevices, uniteDevices, type ByDevice } from './merge-devices.ts';

interface Judged {
  readonly isOpen: boolean;
  /** A decision has resolved it, or opened it again by being withdrawn. */
  readonly isDecided: boolean;
}

export interface JudgedStop extends Judged {
  readonly stop: ByDevice<Stood>;
}

export interface JudgedSos extends Judged {
  readonly sos: ByDevice<SosSent>;
}

interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * Where an entry stood on a live special stage, for as long as `standingAfterS` outside protected zones. Time inside them is
 * cut out, so that a stop that begins in a service area and ends on the track counts from the area's edge.
 */
export function judgeStops(
  stage: Stage,
  zones: readonly Zone[],
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
  window: StageWindow,
  thresholds: Thresholds,
): readonly JudgedStop[] {
  if (stage.kind !== 'special') return [];
  const mergeWithinMs = thresholds.mergeWithinS * 1000;
  const sheltered = zones
    .filter(({ kind }) => kind === 'protected')
    .flatMap((zone) => mergeDevices(devices, 'zone', zone.id, mergeWithinMs));
  const resolvedUntilMs = resolvedUntil(decisions, 'standing');
  return uniteDevices(devices, 'standing', mergeWithinMs, uniteStops)
    .flatMap((stop) => {
      const span = {
        fromMs: Math.max(stop.fromMs, window.fromMs),
        untilMs: Math.min(stop.untilMs, window.untilMs),
      };
      return cutOut(span, sheltered).map((rest) =>
        Object.assign({}, stop, rest, {
          isOpen: stop.isOpen && rest.untilMs === stop.untilMs && !window.isOver,
        }),
      );
    })
    .filter(({ fromMs, untilMs }) => untilMs - fromMs >= thresholds.standingAfterS * 1000)
    .map((stop) => {
      const isResolved = stop.fromMs <= resolvedUntilMs;
      return { stop, isOpen: stop.isOpen && !isResolved, isDecided: isResolved };
    });
}

/** SOS anywhere at any time. Stays open until a decision resolves it, up to a time that is not before its newest record. */
export function judgeSos(
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
  thresholds: Thresholds,
): readonly JudgedSos[] {
  const resolvedUntilMs = resolvedUntil(decisions, 'sos');
  return uniteDevices(devices, 'sos', thresholds.sosGapS * 1000, uniteSos).map((sos) => ({
    sos,
    isOpen: sos.untilMs > resolvedUntilMs,
    isDecided: sos.fromMs <= resolvedUntilMs,
  }));
}

function uniteStops(earlier: ByDevice<Stood>, later: ByDevice<Stood>): ByDevice<Stood> {
  const untilMs = Math.max(earlier.untilMs, later.untilMs);
  return { ...earlier, untilMs, isOpen: earlier.isOpen || later.isOpen };
}

/** At the newer position, unless only the older one is good. */
function uniteSos(earlier: ByDevice<SosSent>, later: ByDevice<SosSent>): ByDevice<SosSent> {
  const placed = earlier.isPositionGood && !later.isPositionGood ? earlier : later;
  return { ...placed, fromMs: earlier.fromMs, untilMs: Math.max(earlier.untilMs, later.untilMs) };
}

function resolvedUntil(decisions: readonly Decision[], incident: 'sos' | 'standing'): number {
  return decisionsOf(decisions, 'incident_resolved')
    .filter((decision) => decision.incident === incident)
    .reduce((latest, { atMs }) => Math.max(latest, atMs), -Infinity);
}

/** What remains of a span without the holes, in time order. */
function cutOut(span: Span, holes: readonly Span[]): readonly Span[] {
  let rest: readonly Span[] = [span];
  for (const hole of holes) {
    rest = rest.flatMap((part) => [
      { fromMs: part.fromMs, untilMs: Math.min(part.untilMs, hole.fromMs) },
      { fromMs: Math.max(part.fromMs, hole.untilMs), untilMs: part.untilMs },
    ]);
    rest = rest.filter(({ fromMs, untilMs }) => untilMs > fromMs);
  }
  return rest;
}
