import { setTimeout as sleep } from 'node:timers/promises';
import { openFilesLimit, rssBytes } from '../process-usage.ts';
import { Clients } from './clients.ts';
import { clientsOptions, type Race, startGateway } from './race.ts';

export interface IdleResults {
  readonly connections: number;
  /** Growth of the gateway's resident memory per authenticated and subscribed connection. */
  readonly bytesPerConnection: number;
  readonly rssBeforeBytes: number;
  readonly rssAfterBytes: number;
}

const addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
const warmUpConnections = 200;
/** Files open besides the connections. */
const otherFiles = 1000;
/** Until memory used only for opening is released. */
const settleMs = 5000;

/** Memory of clients that watch an event in which nothing moves; fewer than `wanted` if the open-files limit is lower. */
export async function benchIdle(
  race: Race,
  wanted: number,
  print: (line: string) => void,
): Promise<IdleResults> {
  await using gateway = await startGateway(race);
  const connections = Math.min(wanted, openFilesLimit(gateway.pid) - otherFiles);
  // Compiled code and filled pools are not the cost of a connection.
  await using _first = await Clients.open(clientsOptions(race, gateway.url, warmUpConnections));
  await sleep(settleMs / 5);
  const rssBeforeBytes = rssBytes(gateway.pid);
  await using clients = await Clients.open(
    clientsOptions(race, gateway.url, connections, { localAddresses: addresses, openPerS: 1500 }),
  );
  await sleep(settleMs);
  const rssAfterBytes = rssBytes(gateway.pid);
  await clients.report();
  const bytesPerConnection = (rssAfterBytes - rssBeforeBytes) / connections;
  print(`idle: ${Math.round(bytesPerConnection)} bytes a connection, ${connections} of them`);
  return { connections, bytesPerConnection, rssBeforeBytes, rssAfterBytes };
}
