import { setTimeout as sleep } from 'node:timers/promises';
import { processCpuUs } from '../process-usage.ts';
import { Clients, type ClientsOptions } from './clients.ts';

/** The clients that parse positions and measure latency, in a process apart from those that only count. */
const readers = 20;

/** What a server sent in a period, and the CPU of its process. */
export interface Count {
  readonly frames: number;
  readonly positions: number;
  readonly bytes: number;
  readonly cpuUs: number;
  readonly seconds: number;
  readonly latenciesMs: readonly number[];
}

/** The clients of a server under measurement. */
export interface Audience extends AsyncDisposable {
  readonly measure: (pid: number, forMs: number) => Promise<Count>;
  /** Records the frames of the readers. */
  readonly record: (forMs: number, file: string) => Promise<void>;
}

export async function openAudience(options: ClientsOptions): Promise<Audience> {
  await using stack = new AsyncDisposableStack();
  const counting = stack.use(await Clients.open({ ...options, clients: options.clients - readers }));
  const reading = stack.use(await Clients.open({ ...options, clients: readers, readsPositions: true }));
  const owned = stack.move();
  return {
    async measure(pid, forMs) {
      await Promise.all([counting.reset(), reading.reset()]);
      const startedAtMs = performance.now();
      const cpuBeforeUs = processCpuUs(pid);
      await sleep(forMs);
      const cpuUs = processCpuUs(pid) - cpuBeforeUs;
      const seconds = (performance.now() - startedAtMs) / 1000;
      const [counted, read] = await Promise.all([counting.report(), reading.report()]);
      const frames = counted.frames + read.frames;
      return {
        frames,
        positions: (frames * read.latenciesMs.length) / read.frames,
        bytes: counted.bytes + read.bytes,
        cpuUs,
        seconds,
        latenciesMs: read.latenciesMs,
      };
    },
    record: (forMs, file) => reading.record(forMs, file),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function sumCounts(counts: readonly Count[]): Count {
  return counts.reduce((a, b) => ({
    frames: a.frames + b.frames,
    positions: a.positions + b.positions,
    bytes: a.bytes + b.bytes,
    cpuUs: a.cpuUs + b.cpuUs,
    seconds: a.seconds + b.seconds,
    latenciesMs: [...a.latenciesMs, ...b.latenciesMs],
  }));
}
