import type { Zone } from '../course.ts';
import { decisionsOf, type Decision } from '../decision.ts';
import type { SpeedingEpisode, ZoneVisited } from '../observation.ts';
import type { StageWindow } from './judge-waypoints.ts';
import type { DeviceSeen } from './device-seen.ts';
import { mergeDevices, type ByDevice } from './merge-devices.ts';

export interface JudgedEpisode {
  readonly zone: Zone;
  readonly episode: ByDevice<SpeedingEpisode>;
  readonly gainedMs: number;
  readonly penaltyMs: number;
  readonly isSuppressed: boolean;
  readonly confidence: ZoneVisited['confidence'];
}

/**
 * The episodes above the limit of a stage's speed zones while an entry was on the stage. A visit's episodes are those of the
 * one tracker whose visit remains, so that two trackers are not fined twice.
 */
export function judgeZones(
  zones: readonly Zone[],
  devices: readonly DeviceSeen[],
  decisions: readonly Decision[],
  window: StageWindow,
  mergeWithinMs: number,
): readonly JudgedEpisode[] {
  return zones
    .filter(({ kind }) => kind === 'speed')
    .flatMap((zone) => {
      const visits = mergeDevices(devices, 'zone', zone.id, mergeWithinMs);
      const episodes = visits.flatMap((visit) =>
        visit.episodes
          .filter(({ fromMs, untilMs }) => untilMs >= window.fromMs && fromMs <= window.untilMs)
          .map((episode) => ({ visit, episode })),
      );
      const suppressed = new Set(
        decisionsOf(decisions, 'episode_suppressed')
          .filter(({ zoneId }) => zoneId === zone.id)
          .map(({ atMs }) => nearest(episodes, atMs)),
      );
      return episodes.map((one): JudgedEpisode => {
        const gainedMs = Math.round((one.episode.gainedM / (zone.limitKmh / 3.6)) * 1000);
        const isSuppressed = suppressed.has(one);
        return {
          zone,
          episode: {
            ...one.episode,
            deviceId: one.visit.deviceId,
            fromMs: Math.round(one.episode.fromMs),
            untilMs: Math.round(one.episode.untilMs),
          },
          gainedMs,
          penaltyMs: isSuppressed ? 0 : Math.round(gainedMs * zone.penaltyFactor),
          isSuppressed,
          confidence: one.visit.confidence,
        };
      });
    });
}

/** The episode of the visit that a decision means: the one during its time, else the nearest within a minute. */
function nearest<E extends { readonly episode: SpeedingEpisode }>(
  episodes: readonly E[],
  atMs: number,
): E | undefined {
  const distanceMs = ({ episode }: E) => Math.max(0, episode.fromMs - atMs, atMs - episode.untilMs);
  const [first] = episodes
    .filter((one) => distanceMs(one) <= 60_000)
    .toSorted((a, b) => distanceMs(a) - distanceMs(b) || a.episode.fromMs - b.episode.fromMs);
  return first;
}
