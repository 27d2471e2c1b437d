import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { rssBytes } from '../process-usage.ts';
import { median, quantile } from '../quantile.ts';
import { openAudience } from './audience.ts';
import { Clients } from './clients.ts';
import { clientsOptions, type Race, startFeed, startGateway } from './race.ts';

export interface SlowSizes {
  readonly connections: number;
  readonly measureMs: number;
  readonly rounds: number;
}

export interface SlowResults {
  readonly connections: number;
  readonly stalled: number;
  /** Of the other clients, without and with stalled ones. */
  readonly p99Ms: number;
  readonly p99WithStalledMs: number;
  readonly rssGrowthBytes: number;
  /** Highest number of connections that the gateway counted as lagging. */
  readonly laggingConnections: number;
}

/** Measures how much clients that stop reading slow down the others. */
export async function benchSlow(
  race: Race,
  { connections, measureMs, rounds }: SlowSizes,
  print: (line: string) => void,
): Promise<SlowResults> {
  const stalled = Math.round(connections / 10);
  await using feed = await startFeed(race);
  await using gateway = await startGateway(race);
  await using audience = await openAudience(clientsOptions(race, gateway.url, connections - stalled));
  const openMore = (): Promise<Clients> => Clients.open(clientsOptions(race, gateway.url, stalled));
  const p99Of = async (): Promise<number> =>
    quantile((await audience.measure(gateway.pid, measureMs)).latenciesMs, 0.99);

  await using _reading = await openMore();
  await sleep(measureMs);
  const rssBeforeBytes = rssBytes(gateway.pid);
  const without: number[] = [];
  const withStalled: number[] = [];
  let laggingConnections = 0;
  let rssAfterBytes = 0;
  for (let round = 0; round < rounds; round += 1) {
    without.push(await p99Of());
    // New ones in every round: a stalled client is closed after a while.
    await using stopped = await openMore();
    await stopped.stall();
    withStalled.push(await p99Of());
    const lagging = readMetric(await gateway.exposition(), 'live_lagging_connections') ?? 0;
    laggingConnections = Math.max(laggingConnections, lagging);
    rssAfterBytes = Math.max(rssAfterBytes, rssBytes(gateway.pid));
  }
  if (!feed.isRunning) throw await feed.exitError();
  const p99Ms = median(without);
  const p99WithStalledMs = median(withStalled);
  print(`slow: p99 of the others ${p99Ms} ms, ${p99WithStalledMs} ms with ${stalled} stalled clients`);
  const rssGrowthBytes = rssAfterBytes - rssBeforeBytes;
  return { connections, stalled, p99Ms, p99WithStalledMs, rssGrowthBytes, laggingConnections };
}
