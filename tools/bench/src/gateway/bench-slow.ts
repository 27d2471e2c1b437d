import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { rssBytes } from '../process-usage.ts';
import { median } from '../quantile.ts';
import { startClients } from './clients-process.ts';
import { latencyOf } from './latency.ts';
import { clientsOptions, type Race, startFeed, startGateway } from './race.ts';

export interface SlowResults {
  readonly connections: number;
  readonly stalled: number;
  /** Of the other clients, without and with stalled ones. */
  readonly p99Ms: number;
  readonly p99WithStalledMs: number;
  /** Relative growth of the others' p99; below 0 is noise. */
  readonly othersLossShare: number;
  readonly rssGrowthBytes: number;
  /** Most connections that the gateway counted as lagging. */
  readonly laggingConnections: number;
}

const readers = 20;

/** Measures how much clients that stop reading slow down the others. */
export async function benchSlow(
  race: Race,
  {
    connections,
    measureMs,
    rounds,
  }: { readonly connections: number; readonly measureMs: number; readonly rounds: number },
  print: (line: string) => void,
): Promise<SlowResults> {
  await using feed = await startFeed(race);
  await using gateway = await startGateway(race);
  await using clients = startClients();
  await using reading = startClients();
  const stalled = Math.round(connections / 10);
  await using stalling = startClients();
  await clients.open(clientsOptions(race, gateway.url, connections - readers - stalled));
  await reading.open(clientsOptions(race, gateway.url, readers, { readsPositions: true }));
  const p99Of = async (): Promise<number> => {
    await reading.reset();
    await sleep(measureMs);
    return latencyOf((await reading.report()).latenciesMs).p99Ms;
  };

  // New ones in every round: a stalled client is closed after a while.
  const without: number[] = [];
  const withStalled: number[] = [];
  let laggingConnections = 0;
  let rssAfterBytes = 0;
  await stalling.open(clientsOptions(race, gateway.url, stalled));
  await sleep(measureMs);
  const rssBeforeBytes = rssBytes(gateway.pid);
  for (let round = 0; round < rounds; round += 1) {
    without.push(await p99Of());
    await using stopped = startClients();
    await stopped.open(clientsOptions(race, gateway.url, stalled));
    await stopped.stall(stalled);
    withStalled.push(await p99Of());
    laggingConnections = Math.max(
      laggingConnections,
      readMetric(await gateway.metrics(), 'live_lagging_connections') ?? 0,
    );
    rssAfterBytes = Math.max(rssAfterBytes, rssBytes(gateway.pid));
  }
  if (!feed.isRunning) throw await feed.exitError();
  const p99Ms = median(without);
  const p99WithStalledMs = median(withStalled);
  const othersLossShare = p99WithStalledMs / p99Ms - 1;
  print(`slow: p99 of the others ${p99Ms} ms, ${p99WithStalledMs} ms with ${stalled} stalled clients`);
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
