import type { Benchmark } from './benchmark.ts';
import { benchInserts } from './inserts/bench-inserts.ts';
import { benchProcessor } from './processor/bench-processor.ts';

/** Every benchmark by the name that `./run bench` knows it by. */
export const benchmarks: Readonly<Record<string, Benchmark>> = {
  processor: benchProcessor,
  inserts: benchInserts,
};
