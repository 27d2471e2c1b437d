import { median } from '../quantile.ts';
import { fillStream } from '../processor/backlog.ts';
import { drainWithProcessor } from '../processor/bench-drain.ts';
import type { BenchServers } from '../servers.ts';
import { openRace } from './open-race.ts';
import { seededRace } from './seeded-race.ts';

/** CPU of the processor's process per position of a drain, in µs: medians of the rounds. */
export interface LiveCost {
  readonly entries: number;
  readonly devices: number;
  readonly rounds: number;
  readonly withoutUs: number;
  readonly announcingUs: number;
  readonly evaluatingUs: number;
  /** Medians of the rounds' differences. */
  readonly addedByAnnouncingUs: number;
  readonly addedByEvaluatingUs: number;
}

/** Drains a backlog without a running event, with one that another replica evaluates, and with one that this one does. */
export async function benchLiveCost(
  servers: BenchServers,
  {
    entries,
    devices,
    rounds,
  }: { readonly entries: number; readonly devices: number; readonly rounds: number },
  print: (line: string) => void,
): Promise<LiveCost> {
  const stream = `${servers.keyPrefix}live`;
  const backlog = { entries, devices, repeatedPercent: 1 };
  await fillStream(servers.redis, stream, backlog);
  const drain = async (raceStatus: 'planned' | 'running', evaluated: 'all' | 'none'): Promise<number> => {
    await using _race = await openRace(servers, seededRace(devices), raceStatus);
    const { nodeUs } = await drainWithProcessor(servers, stream, backlog, { EVALUATE_EVENTS: evaluated });
    return nodeUs;
  };
  const measured: { withoutUs: number; announcingUs: number; evaluatingUs: number }[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const withoutUs = await drain('planned', 'all');
    const announcingUs = await drain('running', 'none');
    const evaluatingUs = await drain('running', 'all');
    measured.push({ withoutUs, announcingUs, evaluatingUs });
    const us = [withoutUs, announcingUs, evaluatingUs].map((each) => each.toFixed(1));
    print(
      `live path, round ${round} of ${rounds}: ${us[0]} µs, announcing ${us[1]} µs, evaluating ${us[2]} µs`,
    );
  }
  await servers.redis.unlink(stream);
  const medianOf = (pick: (round: (typeof measured)[number]) => number): number => median(measured.map(pick));
  return {
    entries,
    devices,
    rounds,
    withoutUs: medianOf((round) => round.withoutUs),
    announcingUs: medianOf((round) => round.announcingUs),
    evaluatingUs: medianOf((round) => round.evaluatingUs),
    addedByAnnouncingUs: medianOf((round) => round.announcingUs - round.withoutUs),
    addedByEvaluatingUs: medianOf((round) => round.evaluatingUs - round.announcingUs),
  };
}
