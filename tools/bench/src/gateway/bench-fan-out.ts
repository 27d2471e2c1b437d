import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '@app/test-kit/program';
import { median, quantile } from '../quantile.ts';
import { type Count, openAudience, sumCounts } from './audience.ts';
import { east, west } from './feeder.ts';
import type { PeerOptions } from './peer-server.ts';
import { clientsOptions, type Race, startFeed, startGateway, whileFed } from './race.ts';

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
  readonly framesPerS: number;
  readonly positionsPerS: number;
  readonly bytesPerS: number;
  readonly cpuUsPerFrame: number;
  readonly cpuUsPerPosition: number;
  /** Positions per second of CPU. */
  readonly positionsPerCoreS: number;
  /** From the fix time, which is the send time, to the arrival at the client; meaningless for the raw limit. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface FanOutRow {
  readonly connections: number;
  readonly hasBoxes: boolean;
  readonly gateway: Sent;
  /** A bare uWebSockets.js loop that sends the same frames to as many sockets. */
  readonly raw: Sent;
  /** Median of the ratios of the rounds. */
  readonly ratioToRaw: number;
}

export interface FanOutResults {
  readonly rows: readonly FanOutRow[];
  readonly socketIo: Sent;
  readonly ws: Sent;
  readonly sizes: FanOutSizes;
}

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
      const { gateway, raw, ratioToRaw } = row;
      print(
        `fan-out to ${connections}${hasBoxes ? ' with boxes' : ''}: ${gateway.cpuUsPerFrame.toFixed(1)} µs per frame, raw ${raw.cpuUsPerFrame.toFixed(1)}, ratio ${ratioToRaw.toFixed(2)}, p99 ${gateway.p99Ms} ms`,
      );
    }
  }
  await using feed = await startFeed(race);
  const socketIo = await measurePeer(race, 'socket.io', sizes);
  print(`socket.io: ${socketIo.cpuUsPerPosition.toFixed(2)} µs per position`);
  const ws = await measurePeer(race, 'ws', sizes);
  print(`ws: ${ws.cpuUsPerPosition.toFixed(2)} µs per position`);
  if (!feed.isRunning) throw await feed.exitError();
  return { rows, socketIo, ws, sizes };
}

/**
 * Measures the gateway and the raw limit with the same frames, in alternation and with nothing to send meanwhile, so that
 * noise of the machine affects both.
 */
async function measureRow(
  race: Race,
  connections: number,
  hasBoxes: boolean,
  { warmUpMs, settleMs, measureMs, rounds }: FanOutSizes,
): Promise<FanOutRow> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'bench-gateway-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const recording = join(folder, 'frames.json');

  const gateway = stack.use(await startGateway(race));
  const clients = clientsOptions(race, gateway.url, connections, { boxes: hasBoxes ? boxes : [] });
  const audience = stack.use(await openAudience(clients));
  await whileFed(race, warmUpMs, () => audience.record(measureMs, recording));

  const raw = stack.use(
    new Program({ main: new URL('raw-broadcaster.ts', import.meta.url), env: { RECORDING: recording } }),
  );
  const rawUrl = `ws://127.0.0.1:${await portOf(raw)}/`;
  const rawAudience = stack.use(
    await openAudience(clientsOptions(race, rawUrl, connections, { dialect: 'raw' })),
  );
  async function measureRaw(afterMs: number): Promise<Count> {
    raw.send({ isSending: true });
    await sleep(afterMs);
    const count = await rawAudience.measure(raw.pid, measureMs);
    raw.send({ isSending: false });
    return count;
  }
  await measureRaw(warmUpMs);

  const counts: Count[] = [];
  const rawCounts: Count[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const count = await whileFed(race, settleMs, () => audience.measure(gateway.pid, measureMs));
    const rawCount = await measureRaw(settleMs);
    counts.push(count);
    rawCounts.push(rawCount);
    ratios.push(rawCount.cpuUs / rawCount.frames / (count.cpuUs / count.frames));
  }
  return {
    connections,
    hasBoxes,
    gateway: sentOf(sumCounts(counts)),
    raw: sentOf(sumCounts(rawCounts)),
    ratioToRaw: median(ratios),
  };
}

/** Measures a server that sends a message per position. */
async function measurePeer(race: Race, peer: PeerOptions['peer'], sizes: FanOutSizes): Promise<Sent> {
  const { redisUrl, keyPrefix } = race.servers;
  const options: PeerOptions = {
    peer,
    redisUrl,
    stream: race.stream,
    adapterStream: `${keyPrefix}socket.io`,
  };
  await using server = new Program({
    main: new URL('peer-server.ts', import.meta.url),
    env: { PEER: JSON.stringify(options) },
  });
  const path = peer === 'ws' ? '' : 'socket.io/?EIO=4&transport=websocket';
  await using audience = await openAudience(
    clientsOptions(race, `ws://127.0.0.1:${await portOf(server)}/${path}`, sizes.peerConnections, {
      dialect: peer === 'ws' ? 'bare' : 'socketIo',
    }),
  );
  await sleep(sizes.warmUpMs);
  return sentOf(await audience.measure(server.pid, sizes.measureMs));
}

async function portOf(server: Program): Promise<number> {
  return await server.line(({ port }) => (typeof port === 'number' ? port : undefined));
}

function sentOf({ frames, positions, bytes, cpuUs, seconds, latenciesMs }: Count): Sent {
  return {
    framesPerS: frames / seconds,
    positionsPerS: positions / seconds,
    bytesPerS: bytes / seconds,
    cpuUsPerFrame: cpuUs / frames,
    cpuUsPerPosition: cpuUs / positions,
    positionsPerCoreS: (positions / cpuUs) * 1e6,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

/** Each covers a different half of the course, so that no two clients share a frame. */
const boxes = Array.from({ length: 5000 }, (_, n) => {
  const from = west + ((east - west) / 2) * (n / 4999);
  return [from, 45, from + (east - west) / 2, 47];
});
