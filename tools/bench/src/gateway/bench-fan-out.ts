import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { processCpuUs } from '../process-usage.ts';
import { type Program, startProgram } from '../program.ts';
import { type Audience, startAudience } from './audience-process.ts';
import { east, west } from './feeder.ts';
import { type Latency, latencyBetween, latencyOf } from './latency.ts';
import type { PeerOptions } from './peer-options.ts';
import { crowdAt, type Race, startFeed, startGateway } from './race.ts';

export interface FanOutSizes {
  /** How many connections, one measurement each. */
  readonly connections: readonly number[];
  /** Whether to measure them with a box each as well. */
  readonly withBoxes: boolean;
  /** Of the peers that send a message a position: as many as leave the machine some air. */
  readonly peerConnections: number;
  readonly warmUpMs: number;
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
  readonly ratioToRaw: number;
}

export interface FanOutResults {
  readonly rows: readonly FanOutRow[];
  readonly socketIo: Sent & { readonly toClient: Latency };
  readonly ws: Sent & { readonly toClient: Latency };
  readonly devices: number;
  /** What each server had to get warm. */
  readonly warmUpMs: number;
  /** How far apart the flushes of a client are that asked for no rate of its own, in ms. */
  readonly intervalMs: number;
  readonly ratioToRaw: number;
  readonly ratioToSocketIo: number;
  readonly ratioToWs: number;
  readonly p99Ms: number;
}

/** So many members read what they get and time it, in a process apart from those who only count. */
const readers = 20;
const flushMs = 250;

export async function benchFanOut(
  race: Race,
  sizes: FanOutSizes,
  say: (line: string) => void,
): Promise<FanOutResults> {
  await using feed = await startFeed(race);
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
  const socketIo = await measurePeer(
    race,
    new URL('./socket-io-server.ts', import.meta.url),
    'socketIo',
    sizes,
  );
  say(`socket.io: ${socketIo.cpuUsPerPosition.toFixed(2)} µs a position`);
  const ws = await measurePeer(race, new URL('./ws-server.ts', import.meta.url), 'bare', sizes);
  say(`ws: ${ws.cpuUsPerPosition.toFixed(2)} µs a position`);
  if (feed.hasEnded()) throw new Error('the feed has ended early: nothing can be said');
  const shared = rows.filter(({ hasBoxes }) => !hasBoxes);
  const largest = shared.at(-1);
  const smallest = shared[0];
  return {
    rows,
    socketIo,
    ws,
    devices: race.imeis.length,
    warmUpMs: sizes.warmUpMs,
    intervalMs: flushMs,
    ratioToRaw: largest?.ratioToRaw ?? Number.NaN,
    ratioToSocketIo: (smallest?.gateway.positionsPerCoreS ?? Number.NaN) / socketIo.positionsPerCoreS,
    ratioToWs: (smallest?.gateway.positionsPerCoreS ?? Number.NaN) / ws.positionsPerCoreS,
    p99Ms: Math.max(...shared.map(({ gateway }) => gateway.toClient.p99Ms)),
  };
}

/** The gateway, and right after it the bare loop with the same frames. */
async function measureRow(
  race: Race,
  connections: number,
  hasBoxes: boolean,
  sizes: FanOutSizes,
): Promise<FanOutRow> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-gateway-'));
  try {
    const recording = join(folder, 'frames.json');
    const gateway = await measureGateway(race, connections, hasBoxes ? boxes : [], sizes, recording);
    const raw = await measureRaw(race, connections, sizes, recording, gateway);
    return { connections, hasBoxes, gateway, raw, ratioToRaw: raw.cpuUsPerFrame / gateway.cpuUsPerFrame };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measureGateway(
  race: Race,
  connections: number,
  boxesOfAll: readonly (readonly number[])[],
  sizes: FanOutSizes,
  recording: string,
): Promise<GatewaySent> {
  await using gateway = await startGateway(race);
  await using crowd = startAudience();
  await using reading = startAudience();
  await crowd.open(crowdAt(race, gateway.url, connections - readers, { boxes: boxesOfAll }));
  await reading.open(crowdAt(race, gateway.url, readers, { boxes: boxesOfAll, readsPositions: true }));
  await sleep(sizes.warmUpMs);

  const before = await gateway.metrics();
  const cpuBeforeUs = processCpuUs(gateway.pid);
  const startedAtMs = performance.now();
  await Promise.all([crowd.count(), reading.count()]);
  await Promise.all([sleep(sizes.measureMs), reading.record(sizes.measureMs, recording)]);
  const cpuUs = processCpuUs(gateway.pid) - cpuBeforeUs;
  const seconds = (performance.now() - startedAtMs) / 1000;
  const after = await gateway.metrics();
  const { latenciesMs } = await reading.report();
  await expectAllThere(crowd, reading);

  const between = (name: string): number => (readMetric(after, name) ?? 0) - (readMetric(before, name) ?? 0);
  return {
    ...sentOf(connections, seconds, cpuUs, {
      frames: between('live_frames_sent_total'),
      positions: between('live_positions_sent_total'),
      bytes: between('live_bytes_sent_total'),
    }),
    toSocket: latencyBetween(before, after, 'live_delivery_latency_seconds'),
    toClient: latencyOf(latenciesMs),
  };
}

async function measureRaw(
  race: Race,
  connections: number,
  sizes: FanOutSizes,
  recording: string,
  of: Sent,
): Promise<Sent> {
  await using raw = startProgram(new URL('./raw-broadcaster.ts', import.meta.url), { RECORDING: recording });
  const url = `ws://127.0.0.1:${await portOf(raw)}/`;
  await using crowd = startAudience();
  await crowd.open(crowdAt(race, url, connections, { dialect: 'bare' }));
  await sleep(sizes.warmUpMs);
  const sent = await measureServer(raw, crowd, connections, sizes.measureMs);
  // Its frames are the gateway's, so a frame holds as many positions.
  const positionsPerFrame = of.positionsPerS / of.framesPerS;
  return {
    ...sent,
    positionsPerS: sent.framesPerS * positionsPerFrame,
    cpuUsPerPosition: sent.cpuUsPerFrame / positionsPerFrame,
    positionsPerCoreS: (positionsPerFrame / sent.cpuUsPerFrame) * 1e6,
  };
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
  await using peer = startProgram(main, { PEER: JSON.stringify(options) });
  const url = `ws://127.0.0.1:${await portOf(peer)}/${dialect === 'socketIo' ? 'socket.io/?EIO=4&transport=websocket' : ''}`;
  await using crowd = startAudience();
  await using reading = startAudience();
  const connections = sizes.peerConnections;
  await crowd.open(crowdAt(race, url, connections - readers, { dialect }));
  await reading.open(crowdAt(race, url, readers, { dialect, readsPositions: true }));
  await sleep(sizes.warmUpMs);
  await reading.count();
  const sent = await measureServer(peer, crowd, connections - readers, sizes.measureMs);
  const { latenciesMs } = await reading.report();
  await expectAllThere(crowd, reading);
  // The readers' share is sent by the same process: what the crowd has got stands for all.
  const share = connections / (connections - readers);
  return {
    ...sent,
    connections,
    framesPerS: sent.framesPerS * share,
    positionsPerS: sent.framesPerS * share,
    bytesPerS: sent.bytesPerS * share,
    cpuUsPerFrame: sent.cpuUsPerFrame / share,
    cpuUsPerPosition: sent.cpuUsPerFrame / share,
    positionsPerCoreS: (share / sent.cpuUsPerFrame) * 1e6,
    toClient: latencyOf(latenciesMs),
  };
}

/** What a crowd gets of a server in this time, and the CPU of the server's process meanwhile. */
async function measureServer(
  server: Program,
  crowd: Audience,
  connections: number,
  measureMs: number,
): Promise<Sent> {
  await crowd.count();
  const cpuBeforeUs = processCpuUs(server.pid);
  const startedAtMs = performance.now();
  await sleep(measureMs);
  const cpuUs = processCpuUs(server.pid) - cpuBeforeUs;
  const { frames, bytes } = await crowd.report();
  const seconds = (performance.now() - startedAtMs) / 1000;
  await expectAllThere(crowd);
  return sentOf(connections, seconds, cpuUs, { frames, positions: frames, bytes });
}

function sentOf(
  connections: number,
  seconds: number,
  cpuUs: number,
  sent: { readonly frames: number; readonly positions: number; readonly bytes: number },
): Sent {
  return {
    connections,
    framesPerS: sent.frames / seconds,
    positionsPerS: sent.positions / seconds,
    bytesPerS: sent.bytes / seconds,
    cpuUsPerFrame: cpuUs / sent.frames,
    cpuUsPerPosition: cpuUs / sent.positions,
    positionsPerCoreS: (sent.positions / cpuUs) * 1e6,
  };
}

async function portOf(server: Program): Promise<number> {
  return await server.line(({ port }) => (typeof port === 'number' ? port : undefined));
}

async function expectAllThere(...audiences: readonly Audience[]): Promise<void> {
  for (const audience of audiences) {
    const { closed } = await audience.report();
    if (closed > 0) throw new Error(`${closed} clients were closed while they were measured`);
  }
}

/** Each holds half of the course, and each another half: no two clients can share a frame. */
const boxes = Array.from({ length: 101 }, (_, n) => {
  const from = west + ((east - west) / 2) * (n / 100);
  return [from, 45, from + (east - west) / 2, 47];
});
