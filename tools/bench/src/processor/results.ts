import type { Machine } from '../describe-machine.ts';
import type { ServerSettings } from '../servers.ts';
import type { StepCosts } from './bench-costs.ts';
import type { DrainResults } from './bench-drain.ts';
import type { Latency } from './latency.ts';

export interface ProcessorResults {
  readonly machine: Machine;
  readonly servers: ServerSettings;
  readonly drain: DrainResults;
  /** The same on a TimescaleDB; null where there is none. */
  readonly timescale: { readonly servers: ServerSettings; readonly drain: DrainResults } | null;
  /** By the rate per second. */
  readonly latency: Readonly<Record<string, Latency>>;
  readonly cost: {
    /** CPU of the whole process over the drain. */
    readonly cpuUsPerPosition: number;
    readonly peakRssBytes: number;
    readonly bySteps: readonly StepCosts[];
  };
}
