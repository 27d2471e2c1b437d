import type { Benchmark } from './benchmark.ts';
import { benchGateway } from './gateway/bench-gateway.ts';
import { benchInserts } from './inserts/bench-inserts.ts';
import { benchProcessor } from './processor/bench-processor.ts';

/** Every benchmark by the name that `./run bench` knows it by. */
export const benchmarks: Readonly<Record<string, Benchmark>> = {
  processor: benchProcessor,
  gateway: benchGateway,
  inserts: benchInserts,
};
