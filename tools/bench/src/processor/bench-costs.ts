import type { z } from 'zod';
import { nodeOptionsOfImage } from '@app/test-kit/service';
import { runToLine } from '../run-to-line.ts';
import { fillStream } from './backlog.ts';
import type { BenchServers } from '../servers.ts';
import { cpuCosts, memoryCosts, type StepCostOptions, steps } from './step-costs.ts';

export interface Shape {
  readonly devices: number;
  /** As many as a tracker sends, unless given. */
  readonly attributes?: number;
}

export type StepCosts = Readonly<
  { devices: number } & z.output<typeof cpuCosts> & z.output<typeof memoryCosts>
>;

const main = new URL('./step-costs.ts', import.meta.url);
// A run of its own for the memory: with these the collector works otherwise than in the service, and takes less CPU.
const memoryOptions = ['--expose-gc', '--max-semi-space-size=128', '--min-semi-space-size=128'];
const mostMemoryEntries = 10_000;

/** What a position costs by step, for each of these shapes. */
export async function benchCosts(
  { redis, redisUrl, postgresUrl, keyPrefix }: BenchServers,
  entries: number,
  shapes: readonly Shape[],
  say: (line: string) => void,
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
        env: { STEP_COSTS: stepCostOptions({ ...options, entries: Math.min(entries, mostMemoryEntries) }) },
        nodeOptions: memoryOptions,
      },
      (line) => memoryCosts.safeParse(line['costs']).data,
    );
    const costs = { devices: shape.devices, ...cpu, ...memory };
    const us = steps.map((step) => `${step} ${costs.cpuUs[step].toFixed(1)}`);
    say(`cost with ${costs.devices} devices, ${costs.attributes} attributes: ${us.join(', ')} µs`);
    results.push(costs);
    await redis.unlink(stream);
  }
  return results;
}

function stepCostOptions(options: StepCostOptions): string {
  return JSON.stringify(options);
}
