import type { Gate } from '../course.ts';
import type { Decision } from '../decision.ts';
import type { PassingVerdict } from '../rows.ts';
import { applyPassingDecisions, type Passing } from './apply-passing-decisions.ts';
import { longestSeries } from './longest-series.ts';
import type { DeviceSeen } from './device-seen.ts';
import { mergeDevices } from './merge-devices.ts';

export interface GatePassing extends Passing {
  readonly gate: Gate;
  readonly direction: 'forward' | 'backward';
}

export interface JudgedPassing extends GatePassing {
  readonly verdict: PassingVerdict;
}

/** The passings of a stage's gates by one entry, in time order, each with the reason why it counts or does not. */
export function judgeGates(
  gates: readonly Gate[],
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
  opensAtMs: (gate: Gate) => number,
): readonly JudgedPassing[] {
  const passings = gates
    .flatMap((gate) => passingsOf(gate, devices, decisions))
    .toSorted((a, b) => a.atMs - b.atMs || a.gate.order - b.gate.order);
  const eligible = passings.filter((one) => !whyNot(one, passings, opensAtMs));
  const series = longestSeries(eligible, ({ gate }) => gate.order);
  const counted = new Set(
    series.map((one, at) => (one.gate.crossing === 'last' ? lastBefore(eligible, one, series[at + 1]) : one)),
  );
  const countedGates = new Set(series.map(({ gate }) => gate));
  return passings.map((one) =>
    Object.assign({}, one, {
      verdict: counted.has(one)
        ? 'counted'
        : (whyNot(one, passings, opensAtMs) ?? (countedGates.has(one.gate) ? 'repeated' : 'out_of_order')),
    }),
  );
}

function passingsOf(
  gate: Gate,
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
): readonly GatePassing[] {
  const deadTimeMs = gate.deadTimeS * 1000;
  const seen = (['forward', 'backward'] as const).flatMap((direction) =>
    mergeDevices(devices, 'gate', gate.id, deadTimeMs, (one) => one.direction === direction).map(
      (crossing) => ({
        gate,
        targetId: gate.id,
        direction,
        atMs: crossing.atMs,
        uncertaintyMs: crossing.uncertaintyMs,
        confidence: crossing.confidence,
        fixes: { deviceId: crossing.deviceId, ...crossing.fixes },
        isDecided: false,
        isSuppressed: false,
      }),
    ),
  );
  return applyPassingDecisions<GatePassing>(
    seen,
    decisions,
    gate.id,
    Math.max(1000, deadTimeMs),
    (decided) => ({
      ...decided,
      gate,
      direction: 'forward',
    }),
  );
}

/** Why a passing cannot count, whatever the others are. Where race control has decided a passing of a gate, only that counts. */
function whyNot(
  one: GatePassing,
  passings: readonly GatePassing[],
  opensAtMs: (gate: Gate) => number,
): PassingVerdict | undefined {
  if (one.isSuppressed) return 'suppressed';
  if (one.isDecided) return undefined;
  if (one.gate.direction === 'forward' && one.direction === 'backward') return 'wrong_direction';
  if (one.atMs < opensAtMs(one.gate)) return 'too_early';
  const isOverruled = passings.some(
    (other) => other.gate === one.gate && other.isDecided && !other.isSuppressed,
  );
  return isOverruled ? 'repeated' : undefined;
}

/** The last passing of the same gate before the next one that counts. */
function lastBefore(
  eligible: readonly GatePassing[],
  one: GatePassing,
  next: GatePassing | undefined,
): GatePassing {
  const untilMs = next?.atMs ?? Infinity;
  return eligible.findLast(({ gate, atMs }) => gate === one.gate && atMs < untilMs) ?? one;
}
