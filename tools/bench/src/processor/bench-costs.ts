import type { z } from 'zod';
import { nodeOptionsOfImage } from '@app/test-kit/service';
import { runToLine } from '../run-to-line.ts';
import { fillStream } from './backlog.ts';
import type { BenchServers } from '../servers.ts';
import { cpuCosts, memoryCosts, type StepCostOptions, steps } from './step-costs.ts';

export interface Shape {
  readonly devices: number;
  /** Default: as many as a tracker sends. */
  readonly attributes?: number;
}

export type StepCosts = Readonly<
  { devices: number } & z.output<typeof cpuCosts> & z.output<typeof memoryCosts>
>;

const main = new URL('./step-costs.ts', import.meta.url);
// Memory is measured in a separate run: these options change the garbage collector and its CPU.
const memoryOptions = ['--expose-gc', '--max-semi-space-size=128', '--min-semi-space-size=128'];
const maxMemoryEntries = 10_000;

/** CPU and memory per position and step, for each shape. */
export async function benchCosts(
  { redis, redisUrl, postgresUrl, keyPrefix }: BenchServers,
  entries: number,
  shapes: readonly Shape[],
  print: (line: string) => void,
): Promise<readonly StepCosts[]> {
  const stream = `${keyPrefix}costs`;
  const results: StepCosts[] = [];
  for (const shape of shapes) {
    await fillStream(redis, stream, { entries, ...shape, repeatedPercent: 0 });
    const options = { redisUrl, postgresUrl, stream };
    const cpu = await runToLine(
      {
        main,
        env: { STEP_COSTS: stepCostOptions({ ...options, entries }) },
        nodeOptions: nodeOptionsOfImage('processor'),
      },
      (line) => cpuCosts.safeParse(line['costs']).data,
    );
    const memory = await runToLine(
      {
        main,
        env: { STEP_COSTS: stepCostOptions({ ...options, entries: Math.min(entries, maxMemoryEntries) }) },
        nodeOptions: memoryOptions,
      },
      (line) => memoryCosts.safeParse(line['costs']).data,
    );
    const costs = { devices: shape.devices, ...cpu, ...memory };
    const us = steps.map((step) => `${step} ${costs.cpuUs[step].toFixed(1)}`);
    print(`cost with ${costs.devices} devices, ${costs.attributes} attributes: ${us.join(', ')} µs`);
    results.push(costs);
    await redis.unlink(stream);
  }
  return results;
}

function stepCostOptions(options: StepCostOptions): string {
  return JSON.stringify(options);
}
