import { setTimeout as sleep } from 'node:timers/promises';
import { App, DISABLED, SHARED_COMPRESSOR, us_socket_local_port, type WebSocket } from 'uWebSockets.js';
import { Program } from '@app/test-kit/program';
import type { Position } from '@app/shared/position';
import type { Benchmark, Outcome } from '../benchmark.ts';
import { describeMachine, type Machine } from '../describe-machine.ts';
import { median } from '../quantile.ts';
import { markdownTable } from '../report.ts';
import type { CountBytesOptions } from './count-bytes.ts';
import { flushesOf, type Variant, variants } from './variants.ts';

interface Measured {
  readonly what: string;
  readonly clients: number;
  readonly bytesPerFrame: number;
  /** CPU of the server, encoding included. */
  readonly usPerFrame: number;
  /** Relative to text, medians of the rounds' ratios. */
  readonly timesFewerBytes: number;
  readonly timesCpu: number;
}

interface Sizes {
  readonly clients: readonly number[];
  /** At least; the flushes of the race are repeated. */
  readonly frames: number;
  readonly rounds: number;
}

export const benchCompression: Benchmark = {
  measures: 'bytes and CPU of ways to compress shared frames',
  takes: '2 minutes, with --quick half a minute',
  run: runCompressionBenchmark,
};

const raceMs = 10_000;
const warmUpFlushes = 100;

async function runCompressionBenchmark(isQuick: boolean, print: (line: string) => void): Promise<Outcome> {
  const sizes: Sizes = isQuick
    ? { clients: [200, 500], frames: 5000, rounds: 1 }
    : { clients: [16, 200, 500], frames: 20_000, rounds: 3 };
  const machine = describeMachine();
  const flushes = flushesOf(raceMs);
  const measured: Measured[] = [];
  for (const clients of sizes.clients) measured.push(...(await compare(clients, flushes, sizes, print)));
  return { results: { machine, measured }, section: section(measured, flushes, sizes, machine), charts: {} };
}

/** Measures all variants in each round, so that noise of the machine affects all. */
async function compare(
  clients: number,
  flushes: readonly (readonly Position[])[],
  { rounds, frames }: Sizes,
  print: (line: string) => void,
): Promise<readonly Measured[]> {
  const repeats = Math.ceil(frames / (flushes.length * clients));
  const repeated = Array.from({ length: repeats }, () => flushes).flat();
  const runs: Awaited<ReturnType<typeof measure>>[][] = [];
  for (let round = 0; round < rounds; round += 1) {
    const run: (typeof runs)[number] = [];
    for (const variant of variants) run.push(await measure(variant, clients, repeated));
    runs.push(run);
  }
  return variants.map(({ what }, index) => {
    const medianOf = (valueOf: (own: Sent, text: Sent) => number): number =>
      median(runs.map((run) => valueOf(run[index] ?? nothing, run[0] ?? nothing)));
    const row = {
      what,
      clients,
      bytesPerFrame: medianOf((own) => own.bytesPerFrame),
      usPerFrame: medianOf((own) => own.usPerFrame),
      timesFewerBytes: medianOf((own, text) => text.bytesPerFrame / own.bytesPerFrame),
      timesCpu: medianOf((own, text) => own.usPerFrame / text.usPerFrame),
    };
    print(
      `${clients} clients, ${what}: ${row.timesFewerBytes.toFixed(2)} times fewer bytes, ${row.timesCpu.toFixed(2)} times the CPU`,
    );
    return row;
  });
}

interface Sent {
  readonly bytesPerFrame: number;
  readonly usPerFrame: number;
}

const nothing: Sent = { bytesPerFrame: Number.NaN, usPerFrame: Number.NaN };

/** Sends each flush to all clients, which are in a process of their own. */
async function measure(
  { isCompressedByServer, encode }: Variant,
  connections: number,
  flushes: readonly (readonly Position[])[],
): Promise<Sent> {
  const sockets = new Set<WebSocket<undefined>>();
  const app = App().ws<undefined>('/*', {
    compression: isCompressedByServer ? SHARED_COMPRESSOR : DISABLED,
    maxBackpressure: 64 * 2 ** 20,
    idleTimeout: 0,
    sendPingsAutomatically: false,
    open: (socket) => void sockets.add(socket),
    close: (socket) => void sockets.delete(socket),
  });
  const listening = Promise.withResolvers<number>();
  app.listen('127.0.0.1', 0, (socket) => {
    if (socket === false) listening.reject(new Error('cannot listen'));
    else listening.resolve(us_socket_local_port(socket));
  });
  const options: CountBytesOptions = {
    port: await listening.promise,
    connections,
    offersDeflate: isCompressedByServer,
  };
  try {
    await using clients = new Program({
      main: new URL('count-bytes.ts', import.meta.url),
      env: { COUNT_BYTES: JSON.stringify(options) },
    });
    await clients.line(({ isOpen }) => isOpen);
    // Compiles the encoder and fills the socket buffers.
    await sendAll(flushes.slice(0, warmUpFlushes), encode, sockets, isCompressedByServer);
    const before = await settledBytes(clients);
    const cpuBefore = process.cpuUsage();
    await sendAll(flushes, encode, sockets, isCompressedByServer);
    const { user, system } = process.cpuUsage(cpuBefore);
    const frames = flushes.length * connections;
    return {
      bytesPerFrame: ((await settledBytes(clients)) - before) / frames,
      usPerFrame: (user + system) / frames,
    };
  } finally {
    app.close();
  }
}

async function sendAll(
  flushes: readonly (readonly Position[])[],
  encode: Variant['encode'],
  sockets: ReadonlySet<WebSocket<undefined>>,
  isCompressedByServer: boolean,
): Promise<void> {
  for (const flush of flushes) {
    const frame = encode(flush);
    for (const socket of sockets) socket.send(frame, false, isCompressedByServer);
    // The clients read meanwhile.
    await sleep(2);
  }
}

/** The bytes that the clients have read, once there are no more. */
async function settledBytes(clients: Program): Promise<number> {
  let last = -1;
  for (;;) {
    const reported = clients.line(({ bytes }) => (typeof bytes === 'number' ? bytes : undefined), {
      skip: clients.lines.length,
    });
    clients.send({});
    const bytes = await reported;
    if (bytes === last) return bytes;
    last = bytes;
    await sleep(200);
  }
}

function section(
  measured: readonly Measured[],
  flushes: readonly (readonly Position[])[],
  { rounds }: Sizes,
  { cpu, cores, loadBefore }: Machine,
): string {
  const busy =
    loadBefore > cores / 4 ? ' **The machine was too busy to judge by one run**; bytes are exact.' : '';
  const rows = flushes.reduce((sum, flush) => sum + flush.length, 0) / flushes.length;
  return `## Compression

The data behind [the decision](decisions.md#shared-frames-are-deflated-once-with-a-dictionary). Frames of a race of 200 vehicles, ${rows.toFixed(0)} rows on
average, sent to clients that share them, medians of ${rounds} alternating round(s). Bytes on the wire; CPU of the server, encoding included.
${cpu}, ${cores} cores, load ${loadBefore.toFixed(1)} before the start.${busy}

${markdownTable(
  ['', 'clients', 'bytes per frame', 'µs per frame', 'times fewer bytes', 'times the CPU'],
  measured.map((row) => [
    row.what,
    row.clients,
    row.bytesPerFrame,
    row.usPerFrame,
    row.timesFewerBytes,
    row.timesCpu,
  ]),
)}`;
}
