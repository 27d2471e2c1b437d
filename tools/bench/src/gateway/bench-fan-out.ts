import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '@app/test-kit/program';
import { median } from '../quantile.ts';
import { startClients } from './clients-process.ts';
import {
  type Count,
  expectAllOpen,
  measureServer,
  openGateway,
  openRaw,
  portOf,
  readers,
} from './fan-out-servers.ts';
import { east, west } from './feeder.ts';
import { type Latency, latencyOf } from './latency.ts';
import type { PeerOptions } from './peer-options.ts';
import { clientsOptions, type Race, startFeed } from './race.ts';

export interface FanOutSizes {
  /** One measurement each. */
  readonly connections: readonly number[];
  /** Measures them with a bounding box each as well. */
  readonly withBoxes: boolean;
  /** For the peers, which send a message per position: few enough that the machine is not saturated. */
  readonly peerConnections: number;
  readonly warmUpMs: number;
  readonly rounds: number;
  /** Between the start of sending and the measurement. */
  readonly settleMs: number;
  readonly measureMs: number;
}

/** Throughput of a server and the CPU of its process. */
export interface Sent {
  readonly connections: number;
  readonly framesPerS: number;
  readonly positionsPerS: number;
  readonly bytesPerS: number;
  readonly cpuUsPerFrame: number;
  readonly cpuUsPerPosition: number;
  /** Positions per second of CPU. */
  readonly positionsPerCoreS: number;
}

export interface Received extends Sent {
  /** From the fix time, which is the send time, to the arrival. */
  readonly toClient: Latency;
}

export interface FanOutRow {
  readonly connections: number;
  readonly hasBoxes: boolean;
  readonly gateway: Received;
  /** A bare uWebSockets.js loop that sends the same bytes to as many sockets. */
  readonly raw: Sent;
  /** Median of the ratios of the rounds. */
  readonly ratioToRaw: number;
}

export interface FanOutResults {
  readonly rows: readonly FanOutRow[];
  readonly socketIo: Received;
  readonly ws: Received;
  readonly devices: number;
  readonly warmUpMs: number;
  readonly rounds: number;
  /** Clients whose frames the raw limit sends again. */
  readonly readers: number;
  /** The default interval between two flushes to a client. */
  readonly intervalMs: number;
  readonly ratioToRaw: number;
  readonly ratioToSocketIo: number;
  readonly ratioToWs: number;
  readonly p99Ms: number;
}

const flushMs = 250;

export async function benchFanOut(
  race: Race,
  sizes: FanOutSizes,
  print: (line: string) => void,
): Promise<FanOutResults> {
  const rows: FanOutRow[] = [];
  for (const hasBoxes of sizes.withBoxes ? [false, true] : [false]) {
    for (const connections of sizes.connections) {
      const row = await measureRow(race, connections, hasBoxes, sizes);
      rows.push(row);
      const { gateway, raw } = row;
      print(
        `fan-out to ${connections}${hasBoxes ? ' with boxes' : ''}: ${gateway.cpuUsPerFrame.toFixed(1)} µs a frame, raw ${raw.cpuUsPerFrame.toFixed(1)}, ratio ${row.ratioToRaw.toFixed(2)}, p99 ${gateway.toClient.p99Ms} ms`,
      );
    }
  }
  await using feed = await startFeed(race);
  const socketIo = await measurePeer(
    race,
    new URL('./socket-io-server.ts', import.meta.url),
    'socketIo',
    sizes,
  );
  print(`socket.io: ${socketIo.cpuUsPerPosition.toFixed(2)} µs a position`);
  const ws = await measurePeer(race, new URL('./ws-server.ts', import.meta.url), 'bare', sizes);
  print(`ws: ${ws.cpuUsPerPosition.toFixed(2)} µs a position`);
  if (!feed.isRunning) throw await feed.exitError();
  const shared = rows.filter(({ hasBoxes }) => !hasBoxes);
  const largest = shared.at(-1);
  const smallest = shared[0];
  return {
    rows,
    socketIo,
    ws,
    devices: race.imeis.length,
    warmUpMs: sizes.warmUpMs,
    rounds: sizes.rounds,
    readers,
    intervalMs: flushMs,
    ratioToRaw: largest?.ratioToRaw ?? Number.NaN,
    ratioToSocketIo: (smallest?.gateway.positionsPerCoreS ?? Number.NaN) / socketIo.positionsPerCoreS,
    ratioToWs: (smallest?.gateway.positionsPerCoreS ?? Number.NaN) / ws.positionsPerCoreS,
    p99Ms: Math.max(...shared.map(({ gateway }) => gateway.toClient.p99Ms)),
  };
}

/**
 * Measures the gateway and the raw limit with the same frames, in alternation and with nothing to send meanwhile, so that
 * noise of the machine affects both.
 */
async function measureRow(
  race: Race,
  connections: number,
  hasBoxes: boolean,
  sizes: FanOutSizes,
): Promise<FanOutRow> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-gateway-'));
  try {
    const recording = join(folder, 'frames.json');
    await using gateway = await openGateway(race, connections, hasBoxes ? boxes : [], sizes, recording);
    await using raw = await openRaw(race, connections, sizes, recording);
    const rounds = [];
    for (let round = 0; round < sizes.rounds; round += 1) {
      rounds.push({ ...(await gateway.measure()), rawSent: await raw.measure() });
    }
    const sent = sumCounts(rounds.map((round) => round.sent));
    const rawSent = sumCounts(rounds.map((round) => round.rawSent));
    // The frames are the gateway's, with as many positions each.
    const rawPositions = (rawSent.frames * sent.positions) / sent.frames;
    const ratios = rounds.map(
      (round) => round.rawSent.cpuUs / round.rawSent.frames / (round.sent.cpuUs / round.sent.frames),
    );
    return {
      connections,
      hasBoxes,
      gateway: {
        ...sentOf(connections, sent),
        toClient: latencyOf(rounds.flatMap(({ latenciesMs }) => latenciesMs)),
      },
      raw: sentOf(connections, { ...rawSent, positions: rawPositions }),
      ratioToRaw: median(ratios),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Measures a server that sends a message per position. */
async function measurePeer(
  race: Race,
  main: URL,
  dialect: 'socketIo' | 'bare',
  sizes: FanOutSizes,
): Promise<Received> {
  const { servers, stream } = race;
  const options: PeerOptions = {
    redisUrl: servers.redisUrl,
    stream,
    adapterStream: `${servers.keyPrefix}socket.io`,
  };
  await using peer = new Program({ main, env: { PEER: JSON.stringify(options) } });
  const url = `ws://127.0.0.1:${await portOf(peer)}/${dialect === 'socketIo' ? 'socket.io/?EIO=4&transport=websocket' : ''}`;
  await using clients = startClients();
  await using reading = startClients();
  const connections = sizes.peerConnections;
  await clients.open(clientsOptions(race, url, connections - readers, { dialect }));
  await reading.open(clientsOptions(race, url, readers, { dialect, readsPositions: true }));
  await sleep(sizes.warmUpMs);
  await reading.reset();
  const { frames, bytes, cpuUs, seconds } = await measureServer(peer, clients, sizes.measureMs);
  const { latenciesMs } = await reading.report();
  await expectAllOpen(clients, reading);
  // The same process also serves the readers, whose frames are not counted here.
  const share = connections / (connections - readers);
  const all = { frames: frames * share, positions: frames * share, bytes: bytes * share, cpuUs, seconds };
  return { ...sentOf(connections, all), toClient: latencyOf(latenciesMs) };
}

function sumCounts(counts: readonly Count[]): Count {
  return counts.reduce((a, b) => ({
    frames: a.frames + b.frames,
    positions: a.positions + b.positions,
    bytes: a.bytes + b.bytes,
    cpuUs: a.cpuUs + b.cpuUs,
    seconds: a.seconds + b.seconds,
  }));
}

function sentOf(connections: number, { frames, positions, bytes, cpuUs, seconds }: Count): Sent {
  return {
    connections,
    framesPerS: frames / seconds,
    positionsPerS: positions / seconds,
    bytesPerS: bytes / seconds,
    cpuUsPerFrame: cpuUs / frames,
    cpuUsPerPosition: cpuUs / positions,
    positionsPerCoreS: (positions / cpuUs) * 1e6,
  };
}

/** Each covers a different half of the course, so that no two clients share a frame. */
const boxes = Array.from({ length: 5000 }, (_, n) => {
  const from = west + ((east - west) / 2) * (n / 4999);
  return [from, 45, from + (east - west) / 2, 47];
});
