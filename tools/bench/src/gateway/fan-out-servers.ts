import { setTimeout as sleep } from 'node:timers/promises';
import { Program } from '@app/test-kit/program';
import { readMetric } from '@app/test-kit/read-metric';
import { processCpuUs } from '../process-usage.ts';
import { type Clients, startClients } from './clients-process.ts';
import { clientsOptions, type Race, startFeed, startGateway } from './race.ts';

/** The number of clients that parse positions and measure latency, in a process apart from those that only count. */
export const readers = 20;

/** What a server sent in a period, and the CPU of its process. */
export interface Count {
  readonly frames: number;
  readonly positions: number;
  readonly bytes: number;
  readonly cpuUs: number;
  readonly seconds: number;
}

interface Times {
  readonly warmUpMs: number;
  readonly settleMs: number;
  readonly measureMs: number;
}

/** A gateway with its clients. It is fed only while it warms up, is recorded and is measured. */
export async function openGateway(
  race: Race,
  connections: number,
  boxes: readonly (readonly number[])[],
  times: Times,
  recording: string,
) {
  await using opening = new AsyncDisposableStack();
  const gateway = opening.use(await startGateway(race));
  const clients = opening.use(startClients());
  const reading = opening.use(startClients());
  await clients.open(clientsOptions(race, gateway.url, connections - readers, { boxes }));
  await reading.open(clientsOptions(race, gateway.url, readers, { boxes, readsPositions: true }));

  async function whileFed<T>(afterMs: number, act: () => Promise<T>): Promise<T> {
    await using feed = await startFeed(race);
    await sleep(afterMs);
    const result = await act();
    if (!feed.isRunning) throw await feed.exitError();
    return result;
  }

  async function measure() {
    await reading.reset();
    const before = await gateway.metrics();
    const cpu = await measureCpu(gateway.pid, times.measureMs);
    const after = await gateway.metrics();
    const { latenciesMs } = await reading.report();
    await expectAllOpen(clients, reading);
    const between = (name: string): number =>
      (readMetric(after, name) ?? 0) - (readMetric(before, name) ?? 0);
    const sent: Count = {
      frames: between('live_frames_sent_total'),
      positions: between('live_positions_sent_total'),
      bytes: between('live_bytes_sent_total'),
      ...cpu,
    };
    return { sent, latenciesMs };
  }

  await whileFed(times.warmUpMs, () => reading.record(times.measureMs, recording));
  const open = opening.move();
  return {
    measure: () => whileFed(times.settleMs, measure),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** The raw limit with as many clients. It sends only while it warms up and is measured. */
export async function openRaw(race: Race, connections: number, times: Times, recording: string) {
  await using opening = new AsyncDisposableStack();
  const raw = opening.use(
    new Program({ main: new URL('raw-broadcaster.ts', import.meta.url), env: { RECORDING: recording } }),
  );
  const url = `ws://127.0.0.1:${await portOf(raw)}/`;
  const clients = opening.use(startClients());
  await clients.open(clientsOptions(race, url, connections, { dialect: 'bare' }));

  async function whileSending<T>(afterMs: number, act: () => Promise<T>): Promise<T> {
    raw.send({ isSending: true });
    await sleep(afterMs);
    const result = await act();
    raw.send({ isSending: false });
    return result;
  }

  await whileSending(times.warmUpMs, async () => undefined);
  const open = opening.move();
  return {
    measure: () => whileSending(times.settleMs, () => measureServer(raw, clients, times.measureMs)),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** What clients receive from a server in this period, counting one position per frame. */
export async function measureServer(server: Program, clients: Clients, measureMs: number): Promise<Count> {
  await clients.reset();
  const cpu = await measureCpu(server.pid, measureMs);
  const { frames, bytes } = await clients.report();
  await expectAllOpen(clients);
  return { frames, positions: frames, bytes, ...cpu };
}

async function measureCpu(
  pid: number,
  measureMs: number,
): Promise<{ readonly cpuUs: number; readonly seconds: number }> {
  const startedAtMs = performance.now();
  const cpuBeforeUs = processCpuUs(pid);
  await sleep(measureMs);
  return { cpuUs: processCpuUs(pid) - cpuBeforeUs, seconds: (performance.now() - startedAtMs) / 1000 };
}

export async function portOf(server: Program): Promise<number> {
  return await server.line(({ port }) => (typeof port === 'number' ? port : undefined));
}

export async function expectAllOpen(...groups: readonly Clients[]): Promise<void> {
  for (const group of groups) {
    const { closed } = await group.report();
    if (closed > 0) throw new Error(`${closed} clients were closed while they were measured`);
  }
}
