import type { Benchmark } from './benchmark.ts';
import { benchGateway } from './gateway/bench-gateway.ts';
import { benchInserts } from './inserts/bench-inserts.ts';
import { benchProcessor } from './processor/bench-processor.ts';

/** By the name for `./run bench`. */
export const benchmarks: Readonly<Record<string, Benchmark>> = {
  processor: benchProcessor,
  gateway: benchGateway,
  inserts: benchInserts,
};
