import { setTimeout as sleep } from 'node:timers/promises';
import { openFilesLimit, rssBytes } from '../process-usage.ts';
import { startAudience } from './audience-process.ts';
import { crowdAt, type Race, startGateway } from './race.ts';

export interface IdleResults {
  readonly connections: number;
  /** Resident memory of the gateway's process, over what it had before, by connection: authenticated and subscribed. */
  readonly bytesPerConnection: number;
  readonly rssBeforeBytes: number;
  readonly rssAfterBytes: number;
}

const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
const warmUpConnections = 200;
/** What the gateway or the audience has open besides, with those that warm up. */
const otherFiles = 1000;
/** Until what was needed only to open them has been given back, or a pong has come. */
const settleMs = 5000;

/** Memory of clients that watch an event in which nothing moves: so many, or as many as may be open at once here. */
export async function benchIdle(
  race: Race,
  wanted: number,
  say: (line: string) => void,
): Promise<IdleResults> {
  await using gateway = await startGateway(race);
  const connections = Math.min(wanted, openFilesLimit(gateway.pid) - otherFiles);
  // What the process needs once, code that is compiled and pools that are filled, is no connection's.
  await using first = startAudience();
  await first.open(crowdAt(race, gateway.url, warmUpConnections));
  await sleep(settleMs / 5);
  const rssBeforeBytes = rssBytes(gateway.pid);
  await using crowd = startAudience();
  await crowd.open(crowdAt(race, gateway.url, connections, { localAddresses: addresses, openPerS: 1500 }));
  await sleep(settleMs);
  const rssAfterBytes = rssBytes(gateway.pid);
  const { closed } = await crowd.report();
  if (closed > 0) throw new Error(`${closed} idle clients were closed`);
  const bytesPerConnection = (rssAfterBytes - rssBeforeBytes) / connections;
  say(`idle: ${Math.round(bytesPerConnection)} bytes a connection, ${connections} of them`);
  return { connections, bytesPerConnection, rssBeforeBytes, rssAfterBytes };
}
