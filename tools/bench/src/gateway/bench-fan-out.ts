import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '@app/test-kit/program';
import { median } from '../quantile.ts';
import { startAudience } from './audience-process.ts';
import {
  type Count,
  expectAllThere,
  measureServer,
  openGateway,
  openRaw,
  portOf,
  readers,
} from './fan-out-servers.ts';
import { east, west } from './feeder.ts';
import { type Latency, latencyBetween, latencyOf } from './latency.ts';
import type { PeerOptions } from './peer-options.ts';
import { crowdAt, type Race, startFeed } from './race.ts';

export interface FanOutSizes {
  /** How many connections, one measurement each. */
  readonly connections: readonly number[];
  /** Whether to measure them with a box each as well. */
  readonly withBoxes: boolean;
  /** Of the peers that send a message a position: as many as leave the machine some air. */
  readonly peerConnections: number;
  readonly warmUpMs: number;
  /** Gateway and raw limit take turns so many times, each for so long after it has begun to send again for a while. */
  readonly rounds: number;
  readonly settleMs: number;
  readonly measureMs: number;
}

/** What a server did in the time that was measured, and what that cost its process. */
export interface Sent {
  readonly connections: number;
  readonly framesPerS: number;
  readonly positionsPerS: number;
  readonly bytesPerS: number;
  readonly cpuUsPerFrame: number;
  readonly cpuUsPerPosition: number;
  /** What one core would deliver if it did nothing else. */
  readonly positionsPerCoreS: number;
}

export interface GatewaySent extends Sent {
  /** From the entry's id in Redis to the write to the socket, as the gateway's own metric has it. */
  readonly toSocket: Latency;
  /** From the fix, stamped when it is sent, to its arrival at a client that reads. */
  readonly toClient: Latency;
}

export interface FanOutRow {
  readonly connections: number;
  readonly hasBoxes: boolean;
  readonly gateway: GatewaySent;
  /** A bare loop of uWebSockets.js that sends the same bytes to as many sockets. */
  readonly raw: Sent;
  /** The median of the ratios in each round. */
  readonly ratioToRaw: number;
}

export interface FanOutResults {
  readonly rows: readonly FanOutRow[];
  readonly socketIo: Sent & { readonly toClient: Latency };
  readonly ws: Sent & { readonly toClient: Latency };
  readonly devices: number;
  /** What each server had to get warm. */
  readonly warmUpMs: number;
  /** In which gateway and raw limit took turns. */
  readonly rounds: number;
  /** So many clients of the gateway read what they get, and the raw limit sends it again. */
  readonly readers: number;
  /** How far apart the flushes of a client are that asked for no rate of its own, in ms. */
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
  say: (line: string) => void,
): Promise<FanOutResults> {
  const rows: FanOutRow[] = [];
  for (const hasBoxes of sizes.withBoxes ? [false, true] : [false]) {
    for (const connections of sizes.connections) {
      const row = await measureRow(race, connections, hasBoxes, sizes);
      rows.push(row);
      const { gateway, raw } = row;
      say(
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
  say(`socket.io: ${socketIo.cpuUsPerPosition.toFixed(2)} µs a position`);
  const ws = await measurePeer(race, new URL('./ws-server.ts', import.meta.url), 'bare', sizes);
  say(`ws: ${ws.cpuUsPerPosition.toFixed(2)} µs a position`);
  if (!feed.isRunning) throw new Error('the feed has ended early: nothing can be said');
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
 * The gateway and the bare loop with the same frames, both warm and with all of their clients. They take turns: one has
 * nothing to send while the other is measured, so that a noisy minute of the machine meets both.
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
    const before = await gateway.metrics();
    const rounds: {
      readonly sent: Count;
      readonly rawSent: Count;
      readonly latenciesMs: readonly number[];
    }[] = [];
    for (let round = 0; round < sizes.rounds; round += 1) {
      rounds.push({ ...(await gateway.measure()), rawSent: await raw.measure() });
    }
    const after = await gateway.metrics();
    const sent = inAll(rounds.map((round) => round.sent));
    const rawSent = inAll(rounds.map((round) => round.rawSent));
    // Its frames are the gateway's, so a frame holds as many positions.
    const rawPositions = (rawSent.frames * sent.positions) / sent.frames;
    const ratios = rounds.map(
      (round) => round.rawSent.cpuUs / round.rawSent.frames / (round.sent.cpuUs / round.sent.frames),
    );
    return {
      connections,
      hasBoxes,
      gateway: {
        ...sentOf(connections, sent),
        toSocket: latencyBetween(before, after, 'live_delivery_latency_seconds'),
        toClient: latencyOf(rounds.flatMap(({ latenciesMs }) => latenciesMs)),
      },
      raw: sentOf(connections, { ...rawSent, positions: rawPositions }),
      ratioToRaw: median(ratios),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A server that sends a message a position. */
async function measurePeer(
  race: Race,
  main: URL,
  dialect: 'socketIo' | 'bare',
  sizes: FanOutSizes,
): Promise<Sent & { readonly toClient: Latency }> {
  const { servers, stream } = race;
  const options: PeerOptions = {
    redisUrl: servers.redisUrl,
    stream,
    adapterStream: `${servers.keyPrefix}socket.io`,
  };
  await using peer = new Program({ main, env: { PEER: JSON.stringify(options) } });
  const url = `ws://127.0.0.1:${await portOf(peer)}/${dialect === 'socketIo' ? 'socket.io/?EIO=4&transport=websocket' : ''}`;
  await using crowd = startAudience();
  await using reading = startAudience();
  const connections = sizes.peerConnections;
  await crowd.open(crowdAt(race, url, connections - readers, { dialect }));
  await reading.open(crowdAt(race, url, readers, { dialect, readsPositions: true }));
  await sleep(sizes.warmUpMs);
  await reading.count();
  const { frames, bytes, cpuUs, seconds } = await measureServer(peer, crowd, sizes.measureMs);
  const { latenciesMs } = await reading.report();
  await expectAllThere(crowd, reading);
  // The readers' share is sent by the same process: what the crowd has got stands for all.
  const share = connections / (connections - readers);
  const all = { frames: frames * share, positions: frames * share, bytes: bytes * share, cpuUs, seconds };
  return { ...sentOf(connections, all), toClient: latencyOf(latenciesMs) };
}

function inAll(counts: readonly Count[]): Count {
  const sum = (of: (count: Count) => number): number => counts.reduce((total, count) => total + of(count), 0);
  return {
    frames: sum(({ frames }) => frames),
    positions: sum(({ positions }) => positions),
    bytes: sum(({ bytes }) => bytes),
    cpuUs: sum(({ cpuUs }) => cpuUs),
    seconds: sum(({ seconds }) => seconds),
  };
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

/** Each holds half of the course, and each another half: no two clients can share a frame. */
const boxes = Array.from({ length: 5000 }, (_, n) => {
  const from = west + ((east - west) / 2) * (n / 4999);
  return [from, 45, from + (east - west) / 2, 47];
});
