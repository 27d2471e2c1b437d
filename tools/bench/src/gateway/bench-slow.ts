import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { rssBytes } from '../process-usage.ts';
import { median } from '../quantile.ts';
import { startAudience } from './audience-process.ts';
import { latencyOf } from './latency.ts';
import { crowdAt, type Race, startFeed, startGateway } from './race.ts';

export interface SlowResults {
  readonly connections: number;
  readonly stalled: number;
  /** Of the others, with everybody reading and with some that have stopped. */
  readonly p99Ms: number;
  readonly p99WithStalledMs: number;
  /** How much of their p99 the others lose; below 0 they gain, which is noise. */
  readonly othersLossShare: number;
  readonly rssGrowthBytes: number;
  /** Bytes that the gateway sent into the sockets of one stalled reader before it held back, on average. */
  readonly laggingConnections: number;
}

const readers = 20;

/** What readers who have stopped reading cost the others. */
export async function benchSlow(
  race: Race,
  {
    connections,
    measureMs,
    rounds,
  }: { readonly connections: number; readonly measureMs: number; readonly rounds: number },
  say: (line: string) => void,
): Promise<SlowResults> {
  await using feed = await startFeed(race);
  await using gateway = await startGateway(race);
  await using crowd = startAudience();
  await using reading = startAudience();
  const stalled = Math.round(connections / 10);
  await using stalling = startAudience();
  await crowd.open(crowdAt(race, gateway.url, connections - readers - stalled));
  await reading.open(crowdAt(race, gateway.url, readers, { readsPositions: true }));
  const p99Of = async (): Promise<number> => {
    await reading.count();
    await sleep(measureMs);
    return latencyOf((await reading.report()).latenciesMs).p99Ms;
  };

  // In turn, and each time with new ones, for a stalled reader is cut after a while.
  const without: number[] = [];
  const beside: number[] = [];
  let laggingConnections = 0;
  let rssBeforeBytes = 0;
  let rssAfterBytes = 0;
  await stalling.open(crowdAt(race, gateway.url, stalled));
  await sleep(measureMs);
  rssBeforeBytes = rssBytes(gateway.pid);
  for (let round = 0; round < rounds; round += 1) {
    without.push(await p99Of());
    await using stopped = startAudience();
    await stopped.open(crowdAt(race, gateway.url, stalled));
    await stopped.stall(stalled);
    beside.push(await p99Of());
    laggingConnections = Math.max(
      laggingConnections,
      readMetric(await gateway.metrics(), 'live_lagging_connections') ?? 0,
    );
    rssAfterBytes = Math.max(rssAfterBytes, rssBytes(gateway.pid));
  }
  if (!feed.isRunning) throw new Error('the feed has ended early');
  const p99Ms = median(without);
  const p99WithStalledMs = median(beside);
  const othersLossShare = p99WithStalledMs / p99Ms - 1;
  say(`slow: p99 of the others ${p99Ms} ms, beside ${stalled} that stopped reading ${p99WithStalledMs} ms`);
  return {
    connections,
    stalled,
    p99Ms,
    p99WithStalledMs,
    othersLossShare,
    rssGrowthBytes: rssAfterBytes - rssBeforeBytes,
    laggingConnections,
  };
}
