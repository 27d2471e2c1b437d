import { decisionsOf, type Decision } from '../decision.ts';
import type { Confidence } from '../observation.ts';
import type { BracketingFixes } from '../rows.ts';

/** A passing of a gate or waypoint, as a tracker saw it or as race control decided. */
export interface Passing {
  readonly targetId: string;
  readonly atMs: number;
  readonly uncertaintyMs: number;
  readonly confidence: Confidence;
  readonly fixes: BracketingFixes | undefined;
  readonly isDecided: boolean;
  readonly isSuppressed: boolean;
}

/**
 * Applies the decisions about one gate or waypoint to its passings, in the order in which they were made. A correction of a
 * passing that no longer exists adds it, since the corrected time is what race control wants; suppressing one that does not
 * exist does nothing.
 *
 * @param withinMs how far from the decision's time the passing that it means may be
 * @param create makes a passing that no tracker saw
 */
export function applyPassingDecisions<P extends Passing>(
  passings: readonly P[],
  decisions: readonly Decision[],
  targetId: string,
  withinMs: number,
  create: (passing: Passing) => P,
): readonly P[] {
  let result = passings;
  const made = [
    ...decisionsOf(decisions, 'passing_added'),
    ...decisionsOf(decisions, 'passing_suppressed'),
    ...decisionsOf(decisions, 'passing_corrected'),
  ]
    .filter((decision) => decision.targetId === targetId)
    .toSorted((a, b) => a.decidedAtMs - b.decidedAtMs || (a.id < b.id ? -1 : 1));
  for (const decision of made) {
    const meant = decision.kind === 'passing_added' ? undefined : nearest(result, decision.atMs, withinMs);
    if (decision.kind === 'passing_suppressed') {
      if (meant) {
        result = result.map((one) => (one === meant ? { ...one, isSuppressed: true, isDecided: true } : one));
      }
      continue;
    }
    const decided: Passing = {
      targetId,
      atMs: decision.kind === 'passing_added' ? decision.atMs : decision.correctedAtMs,
      uncertaintyMs: 0,
      confidence: 'high',
      fixes: undefined,
      isDecided: true,
      isSuppressed: false,
    };
    result = meant
      ? result.map((one) => (one === meant ? { ...one, ...decided, fixes: one.fixes } : one))
      : [...result, create(decided)];
  }
  return result;
}

function nearest<P extends { readonly atMs: number }>(
  passings: readonly P[],
  atMs: number,
  withinMs: number,
): P | undefined {
  const [first] = passings
    .filter((one) => Math.abs(one.atMs - atMs) <= withinMs)
    .toSorted((a, b) => Math.abs(a.atMs - atMs) - Math.abs(b.atMs - atMs) || a.atMs - b.atMs);
  return first;
}
