import { isGood, type Fix } from './fix.ts';
import type { Observation } from './observation.ts';
import type { PreparedCourse } from './prepare-course.ts';
import type { RuleFailure } from './rule-failure.ts';
import { gateRule } from './rules/gate.ts';
import { progressRule } from './rules/progress.ts';
import type { Emit, Rule } from './rules/rule.ts';
import { sosRule } from './rules/sos.ts';
import { standingRule } from './rules/standing.ts';
import { waypointRule } from './rules/waypoint.ts';
import { zoneRule } from './rules/zone.ts';

export const allRules: readonly Rule<unknown>[] = [
  sosRule,
  gateRule,
  waypointRule,
  zoneRule,
  standingRule,
  progressRule,
];

/** The fold of a device's fixes up to `lastFixAtMs`. Plain data: a copy by `structuredClone` is a checkpoint. */
export interface DeviceState {
  lastFixAtMs: number;
  previousGood: Fix | undefined;
  /** In the order of the rules. */
  readonly states: unknown[];
  readonly failures: RuleFailure[];
}

export function startDevice(course: PreparedCourse, rules: readonly Rule<unknown>[] = allRules): DeviceState {
  return {
    lastFixAtMs: -Infinity,
    previousGood: undefined,
    states: rules.map((rule) => rule.start(course)),
    failures: [],
  };
}

/**
 * Folds one more fix of the device into its state. Emits what has ended with it; what still lasts is in `openObservations`.
 * Fixes come in fix-time order; one that is not later than the last is an error of the caller.
 */
export function observeFix(
  course: PreparedCourse,
  state: DeviceState,
  fix: Fix,
  emit: Emit,
  rules: readonly Rule<unknown>[] = allRules,
): void {
  if (fix.fixAtMs <= state.lastFixAtMs) throw new RangeError('fixes must be in fix-time order');
  const isUsable = isGood(fix);
  for (let index = 0; index < rules.length; index += 1) {
    const rule = rules[index];
    if (!rule || (rule.fixes === 'good' && !isUsable) || hasFailed(state, rule)) continue;
    try {
      rule.step(course, state.states[index], state.previousGood, fix, emit);
    } catch (error) {
      state.failures.push(failureOf(rule, fix.fixAtMs, error));
    }
  }
  state.lastFixAtMs = fix.fixAtMs;
  if (isUsable) state.previousGood = fix;
}

export interface DeviceObserved {
  readonly observations: readonly Observation[];
  readonly failures: readonly RuleFailure[];
}

/**
 * What has begun and not ended, as far as it is known, and the failures of all rules. The state stays as it is: whether
 * anybody asks for what is open must not change what is observed later.
 */
export function openObservations(
  course: PreparedCourse,
  state: DeviceState,
  rules: readonly Rule<unknown>[] = allRules,
): DeviceObserved {
  const observations: Observation[] = [];
  const failures = [...state.failures];
  for (const [index, rule] of rules.entries()) {
    if (hasFailed(state, rule)) continue;
    try {
      const open: Observation[] = [];
      rule.emitOpen(course, state.states[index], (observation) => open.push(observation));
      observations.push(...open);
    } catch (error) {
      failures.push(failureOf(rule, state.lastFixAtMs, error));
    }
  }
  return { observations, failures };
}

/** All fixes of a device, from scratch. In any order, and repeated: sorted, and of those with one fix time the first is used. */
export function observeFixes(course: PreparedCourse, fixes: readonly Fix[]): DeviceObserved {
  const state = startDevice(course);
  const observations: Observation[] = [];
  for (const fix of fixes.toSorted((a, b) => a.fixAtMs - b.fixAtMs)) {
    if (fix.fixAtMs > state.lastFixAtMs) observeFix(course, state, fix, (one) => observations.push(one));
  }
  const open = openObservations(course, state);
  return { observations: [...observations, ...open.observations], failures: open.failures };
}

function hasFailed(state: DeviceState, rule: Rule<unknown>): boolean {
  return state.failures.length > 0 && state.failures.some((failure) => failure.rule === rule.name);
}

function failureOf(rule: Rule<unknown>, fixAtMs: number, error: unknown): RuleFailure {
  const message = error instanceof Error ? error.message : String(error);
  return { rule: rule.name, ruleVersion: rule.version, fixAtMs, message };
}
