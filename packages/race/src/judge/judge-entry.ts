import type { Course, Entry, RaceEvent } from '../course.ts';
import type { Decision } from '../decision.ts';
import type { Observation } from '../observation.ts';
import type { JudgeFailure, RuleFailure } from '../rule-failure.ts';
import { rowKey, type EntryResults, type IncidentRow } from '../rows.ts';
import { gateRule } from '../rules/gate.ts';
import { sosRule } from '../rules/sos.ts';
import { standingRule } from '../rules/standing.ts';
import { waypointRule } from '../rules/waypoint.ts';
import { zoneRule } from '../rules/zone.ts';
import { indexObservations } from './device-seen.ts';
import { judgeSos } from './judge-incidents.ts';
import { judgeStage, type JudgedStage } from './judge-stage.ts';

export interface EntryInput {
  readonly entry: Entry;
  /** What each tracker saw while it was assigned, in the order of the assignments, which decides between equals. */
  readonly devices: readonly {
    readonly deviceId: string;
    readonly observations: readonly Observation[];
    readonly failures: readonly RuleFailure[];
  }[];
  /** Of this entry. */
  readonly decisions: readonly Decision[];
}

/** Of the stage result: how passings, penalties and statuses become one. */
const stageRuleVersion = 1;

/**
 * The results of one entry, from what its trackers observed and what race control decided. A stage that cannot be judged has
 * no rows; the other stages and SOS have theirs.
 *
 * @param course without the rows that `checkCourse` refused; stages by their order
 * @param asOfMs until when the data is known, for what follows from nothing happening (DNS, OTL, missed waypoints): the newest
 * fix of the event, or its end once it is over
 */
export function judgeEntry(
  event: RaceEvent,
  course: Course,
  input: EntryInput,
  asOfMs: number,
): EntryResults {
  const ids = { eventId: event.id, entryId: input.entry.id };
  const devices = input.devices.map((device) => indexObservations(device.deviceId, device.observations));
  const judgeFailures: JudgeFailure[] = [];
  const attempt = <Part>(stageId: string | undefined, judge: () => readonly Part[]): readonly Part[] => {
    try {
      return judge();
    } catch (error) {
      judgeFailures.push({ stageId, message: error instanceof Error ? error.message : String(error) });
      return [];
    }
  };
  const judged = course.stages.flatMap((stage) =>
    attempt(stage.id, () => [
      { stageId: stage.id, of: judgeStage(event, course, stage, { ...input, devices }, asOfMs) },
    ]),
  );
  const key = (rule: string, targetId: string, lap = 1) =>
    rowKey(ids.eventId, ids.entryId, rule, targetId, lap);
  const sos = attempt(undefined, () => judgeSos(devices, input.decisions, event.thresholds));

  return {
    entryId: input.entry.id,
    passings: judged.flatMap(({ stageId, of }) => {
      const nextLap = countLaps();
      return of.passings.map((one) => {
        const lap = nextLap(one.targetId);
        return {
          ...ids,
          key: key('gate', one.targetId, lap),
          stageId,
          rule: 'gate' as const,
          ruleVersion: gateRule.version,
          lap,
          gateId: one.targetId,
          direction: one.direction,
          atMs: one.atMs,
          uncertaintyMs: one.uncertaintyMs,
          confidence: one.confidence,
          fixes: one.fixes,
          verdict: one.verdict,
          isDecided: one.isDecided,
        };
      });
    }),
    waypoints: judged.flatMap(({ stageId, of }) =>
      of.waypoints.map(({ waypoint, verdict, isDecided, passing }) => ({
        ...ids,
        key: key('waypoint', waypoint.id),
        stageId,
        rule: 'waypoint' as const,
        ruleVersion: waypointRule.version,
        lap: 1,
        waypointId: waypoint.id,
        verdict,
        atMs: passing?.atMs,
        uncertaintyMs: passing?.uncertaintyMs,
        distanceM: passing?.distanceM,
        confidence: passing?.confidence ?? ('high' as const),
        fixes: passing?.fixes,
        penaltyMs: verdict === 'missed' ? waypoint.missedPenaltyS * 1000 : 0,
        isDecided,
      })),
    ),
    zoneEpisodes: judged.flatMap(({ stageId, of }) => {
      const nextLap = countLaps();
      return of.episodes.map(({ zone, episode, gainedMs, penaltyMs, isSuppressed, confidence }) => {
        const lap = nextLap(zone.id);
        return {
          ...ids,
          key: key('zone', zone.id, lap),
          stageId,
          rule: 'zone' as const,
          ruleVersion: zoneRule.version,
          lap,
          zoneId: zone.id,
          fromMs: episode.fromMs,
          untilMs: episode.untilMs,
          maximumKmh: episode.maximumKmh,
          durationMs: episode.untilMs - episode.fromMs,
          gainedM: episode.gainedM,
          gainedMs,
          penaltyMs,
          verdict: isSuppressed ? ('suppressed' as const) : ('counted' as const),
          confidence,
          fixes: { deviceId: episode.deviceId, ...episode.fixes },
          isDecided: isSuppressed,
        };
      });
    }),
    incidents: [
      ...judged.flatMap(({ stageId, of }) =>
        of.stops.map(({ stop, ...state }, at) => incident('standing', stageId, stop, state, at + 1)),
      ),
      ...sos.map((one, at) => incident('sos', undefined, one.sos, one, at + 1)),
    ],
    stages: judged.map(({ stageId, of }) =>
      Object.assign(timesOf(of), ids, {
        key: key('stage', stageId),
        stageId,
        rule: 'stage' as const,
        ruleVersion: stageRuleVersion,
        status: of.status,
        confidence: of.confidence,
        penaltyMs: of.penaltyMs,
        isDecided: of.isDecided,
        isToBeDerived: of.isToBeDerived,
        isDerived: false,
        missedWaypoints: of.waypoints.filter(({ verdict }) => verdict === 'missed').length,
        progressM: of.progress?.progressM,
        isOffTrack: of.status === 'on_stage' && of.progress?.isOffTrack === true,
      }),
    ),
    failures: input.devices.flatMap(({ deviceId, failures }) =>
      failures.map((failure) => Object.assign({ deviceId }, failure)),
    ),
    judgeFailures,
  };

  function incident(
    rule: 'standing' | 'sos',
    stageId: string | undefined,
    seen: Extract<Observation, { kind: 'standing' | 'sos' }> & { readonly deviceId: string },
    state: { readonly isOpen: boolean; readonly isDecided: boolean },
    lap: number,
  ): IncidentRow {
    return {
      ...ids,
      key: key(rule, stageId ?? 'event', lap),
      stageId,
      rule,
      ruleVersion: rule === 'sos' ? sosRule.version : standingRule.version,
      lap,
      fromMs: seen.fromMs,
      untilMs: seen.untilMs,
      isOpen: state.isOpen,
      isDecided: state.isDecided,
      latitude: seen.latitude,
      longitude: seen.longitude,
      isPositionGood: seen.kind === 'standing' || seen.isPositionGood,
      confidence: 'high',
      fixes: { deviceId: seen.deviceId, beforeAtMs: seen.fromMs, afterAtMs: seen.untilMs },
    };
  }
}

function timesOf(judged: JudgedStage) {
  const { status, startAtMs, finishAtMs, penaltyMs, passings } = judged;
  const counted = passings.filter(({ verdict }) => verdict === 'counted');
  const elapsedMs = startAtMs === undefined || finishAtMs === undefined ? undefined : finishAtMs - startAtMs;
  return {
    startAtMs,
    finishAtMs,
    elapsedMs,
    uncertaintyMs: elapsedMs === undefined ? undefined : Math.ceil(judged.uncertaintyMs),
    totalMs: elapsedMs === undefined || status !== 'finished' ? undefined : elapsedMs + penaltyMs,
    gatesPassed: counted.length,
    lastGateAtMs: counted.at(-1)?.atMs,
  };
}

/** Numbers the rows of each target from 1. */
function countLaps(): (targetId: string) => number {
  const laps = new Map<string, number>();
  return (targetId) => {
    const lap = (laps.get(targetId) ?? 0) + 1;
    laps.set(targetId, lap);
    return lap;
  };
}
