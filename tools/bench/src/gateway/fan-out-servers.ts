import { setTimeout as sleep } from 'node:timers/promises';
import { readMetric } from '@app/test-kit/read-metric';
import { processCpuUs } from '../process-usage.ts';
import { Program } from '@app/test-kit/program';
import { type Audience, startAudience } from './audience-process.ts';
import { crowdAt, type Race, startFeed, startGateway } from './race.ts';

/** So many members read what they get and time it, in a process apart from those who only count. */
export const readers = 20;

/** What was sent in a time, and the CPU of the server's process meanwhile. */
export interface Count {
  readonly frames: number;
  readonly positions: number;
  readonly bytes: number;
  readonly cpuUs: number;
  readonly seconds: number;
}

/** How long a server sends, before it is measured and while it is. */
interface Times {
  readonly warmUpMs: number;
  readonly settleMs: number;
  readonly measureMs: number;
}

/** A gateway with its audience, that is fed only while it gets warm, its frames are written down, and it is measured. */
export async function openGateway(
  race: Race,
  connections: number,
  boxesOfAll: readonly (readonly number[])[],
  times: Times,
  recording: string,
) {
  await using opening = new AsyncDisposableStack();
  const gateway = opening.use(await startGateway(race));
  const crowd = opening.use(startAudience());
  const reading = opening.use(startAudience());
  await crowd.open(crowdAt(race, gateway.url, connections - readers, { boxes: boxesOfAll }));
  await reading.open(crowdAt(race, gateway.url, readers, { boxes: boxesOfAll, readsPositions: true }));

  async function whileFed<T>(afterMs: number, act: () => Promise<T>): Promise<T> {
    await using feed = await startFeed(race);
    await sleep(afterMs);
    const result = await act();
    if (!feed.isRunning) throw new Error('the feed has ended early: nothing can be said');
    return result;
  }

  async function measure() {
    const before = await gateway.metrics();
    const cpuBeforeUs = processCpuUs(gateway.pid);
    const startedAtMs = performance.now();
    await reading.count();
    await sleep(times.measureMs);
    const cpuUs = processCpuUs(gateway.pid) - cpuBeforeUs;
    const seconds = (performance.now() - startedAtMs) / 1000;
    const after = await gateway.metrics();
    const { latenciesMs } = await reading.report();
    await expectAllThere(crowd, reading);
    const between = (name: string): number =>
      (readMetric(after, name) ?? 0) - (readMetric(before, name) ?? 0);
    const sent: Count = {
      frames: between('live_frames_sent_total'),
      positions: between('live_positions_sent_total'),
      bytes: between('live_bytes_sent_total'),
      cpuUs,
      seconds,
    };
    return { sent, latenciesMs };
  }

  await whileFed(times.warmUpMs, () => reading.record(times.measureMs, recording));
  const open = opening.move();
  return {
    metrics: gateway.metrics,
    measure: () => whileFed(times.settleMs, measure),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** The bare loop with as large an audience, that sends only while it gets warm and is measured. */
export async function openRaw(race: Race, connections: number, times: Times, recording: string) {
  await using opening = new AsyncDisposableStack();
  const raw = opening.use(
    new Program({ main: new URL('raw-broadcaster.ts', import.meta.url), env: { RECORDING: recording } }),
  );
  const url = `ws://127.0.0.1:${await portOf(raw)}/`;
  const crowd = opening.use(startAudience());
  await crowd.open(crowdAt(race, url, connections, { dialect: 'bare' }));

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
    measure: () => whileSending(times.settleMs, () => measureServer(raw, crowd, times.measureMs)),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

/** What a crowd gets of a server in this time; a position a frame, as far as is known here. */
export async function measureServer(server: Program, crowd: Audience, measureMs: number): Promise<Count> {
  await crowd.count();
  const cpuBeforeUs = processCpuUs(server.pid);
  const startedAtMs = performance.now();
  await sleep(measureMs);
  const cpuUs = processCpuUs(server.pid) - cpuBeforeUs;
  const { frames, bytes } = await crowd.report();
  const seconds = (performance.now() - startedAtMs) / 1000;
  await expectAllThere(crowd);
  return { frames, positions: frames, bytes, cpuUs, seconds };
}

export async function portOf(server: Program): Promise<number> {
  return await server.line(({ port }) => (typeof port === 'number' ? port : undefined));
}

export async function expectAllThere(...audiences: readonly Audience[]): Promise<void> {
  for (const audience of audiences) {
    const { closed } = await audience.report();
    if (closed > 0) throw new Error(`${closed} clients were closed while they were measured`);
  }
}
