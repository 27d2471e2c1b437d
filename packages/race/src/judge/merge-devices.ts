import type { ObservationOf } from '../observation.ts';
import { seenOf, type DeviceSeen } from './device-seen.ts';

type Seen = ObservationOf<'gate' | 'waypoint' | 'zone'>;
export type ByDevice<O> = O & { readonly deviceId: string };

/**
 * The observations of one gate, waypoint or zone by all trackers, in time order. Where several saw the same, the one with the
 * smallest uncertainty remains (low confidence last), and among equals that of the first device: taking them in this order,
 * one is dropped if another tracker's that remains is within `withinMs`. What one tracker saw twice happened twice.
 */
export function mergeDevices<Kind extends Seen['kind']>(
  devices: readonly DeviceSeen[],
  kind: Kind,
  targetId: string,
  withinMs: number,
  isMeant: (observation: ObservationOf<Kind>) => boolean = () => true,
): readonly ByDevice<ObservationOf<Kind>>[] {
  const seen = devices.flatMap((device, order) =>
    seenOf(device, kind, targetId)
      .filter(isMeant)
      .map((observation) =>
        Object.assign(interval(observation), { deviceId: device.deviceId, order, observation }),
      ),
  );
  seen.sort(
    (a, b) =>
      Number(a.observation.confidence === 'low') - Number(b.observation.confidence === 'low') ||
      a.observation.uncertaintyMs - b.observation.uncertaintyMs ||
      a.order - b.order ||
      a.fromMs - b.fromMs,
  );
  const kept: typeof seen = [];
  for (const one of seen) {
    const isKnown = kept.some(
      (other) =>
        other.order !== one.order &&
        one.fromMs - withinMs <= other.untilMs &&
        other.fromMs - withinMs <= one.untilMs,
    );
    if (!isKnown) kept.push(one);
  }
  return kept
    .toSorted((a, b) => a.fromMs - b.fromMs || a.order - b.order)
    .map(({ deviceId, observation }) => Object.assign({ deviceId }, observation));
}

function interval(observation: Seen): { fromMs: number; untilMs: number } {
  const fromMs =
    observation.kind === 'gate' ? Math.min(observation.atMs, observation.untilMs) : observation.fromMs;
  return { fromMs, untilMs: observation.untilMs };
}

/**
 * Stops or SOS of all trackers, in time order; those that overlap or are within `withinMs` are one that begins with the first
 * and ends with the last: what may concern safety is never dropped because another tracker did not see it.
 */
export function uniteDevices<Kind extends 'standing' | 'sos'>(
  devices: readonly DeviceSeen[],
  kind: Kind,
  withinMs: number,
  unite: (
    earlier: ByDevice<ObservationOf<Kind>>,
    later: ByDevice<ObservationOf<Kind>>,
  ) => ByDevice<ObservationOf<Kind>>,
): readonly ByDevice<ObservationOf<Kind>>[] {
  const seen = devices
    .flatMap((device, order) =>
      seenOf(device, kind, kind).map((observation) => ({
        order,
        one: Object.assign({ deviceId: device.deviceId }, observation),
      })),
    )
    .toSorted((a, b) => a.one.fromMs - b.one.fromMs || a.order - b.order);
  const united: ByDevice<ObservationOf<Kind>>[] = [];
  for (const { one } of seen) {
    const last = united.at(-1);
    if (last && one.fromMs <= last.untilMs + withinMs) united[united.length - 1] = unite(last, one);
    else united.push(one);
  }
  return united;
}
