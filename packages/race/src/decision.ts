/** Who decided, when (server time) and why: an answer to a protest. */
interface Decided {
  readonly id: string;
  readonly entryId: string;
  readonly decidedAtMs: number;
  readonly decidedBy: string;
  readonly reason: string;
}

/** Statuses that race control may give; without a stage, on every stage that the entry has not finished. */
export type DecidedStatus = 'dns' | 'dnf' | 'otl' | 'dsq';

/**
 * What race control decides about an entry. The target of a passing is a gate or a waypoint. `atMs` says which of several is
 * meant: the nearest, for passings within the dead time.
 */
export type Decision = Decided &
  (
    | { readonly kind: 'passing_added'; readonly targetId: string; readonly atMs: number }
    | { readonly kind: 'passing_suppressed'; readonly targetId: string; readonly atMs: number }
    | {
        readonly kind: 'passing_corrected';
        readonly targetId: string;
        readonly atMs: number;
        readonly correctedAtMs: number;
      }
    | { readonly kind: 'episode_suppressed'; readonly zoneId: string; readonly atMs: number }
    | {
        readonly kind: 'status';
        readonly stageId: string | undefined;
        readonly status: DecidedStatus;
      }
    | { readonly kind: 'penalty'; readonly stageId: string; readonly penaltyS: number }
    /** Resolves what has been seen up to `atMs`; what comes later opens the incident again. */
    | { readonly kind: 'incident_resolved'; readonly incident: 'sos' | 'standing'; readonly atMs: number }
    /** A time for a stage without one, from those of the neighbouring stages. */
    | { readonly kind: 'derived_time'; readonly stageId: string }
  );

export type DecisionOf<Kind extends Decision['kind']> = Extract<Decision, { kind: Kind }>;

/** Decisions of a kind in the order in which they were made. */
export function decisionsOf<Kind extends Decision['kind']>(
  decisions: readonly Decision[],
  kind: Kind,
): readonly DecisionOf<Kind>[] {
  return decisions
    .filter((decision): decision is DecisionOf<Kind> => decision.kind === kind)
    .toSorted((a, b) => a.decidedAtMs - b.decidedAtMs || (a.id < b.id ? -1 : 1));
}
