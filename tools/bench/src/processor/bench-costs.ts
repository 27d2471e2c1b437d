import type { z } from 'zod';
import { Program } from '@app/test-kit/program';
import { nodeOptionsOfImage } from '@app/test-kit/service';
import { fillStream } from './backlog.ts';
import type { BenchServers } from '../servers.ts';
import { type StepCostOptions, stepCosts, steps } from './step-costs.ts';

export interface Shape {
  readonly devices: number;
  /** Default: as many as a tracker sends. */
  readonly attributes?: number;
}

export type Costs = Readonly<{ devices: number } & z.output<typeof stepCosts>>;

/** CPU per position and step, for each shape. */
export async function benchCosts(
  { redis, redisUrl, postgresUrl, keyPrefix }: BenchServers,
  entries: number,
  shapes: readonly Shape[],
  print: (line: string) => void,
): Promise<readonly Costs[]> {
  const stream = `${keyPrefix}costs`;
  const options: StepCostOptions = { redisUrl, postgresUrl, stream, entries };
  const results: Costs[] = [];
  for (const shape of shapes) {
    await fillStream(redis, stream, { entries, ...shape, repeatedPercent: 0 });
    await using program = new Program({
      main: new URL('./step-costs.ts', import.meta.url),
      env: { STEP_COSTS: JSON.stringify(options) },
      nodeOptions: nodeOptionsOfImage('processor'),
    });
    const measured = await program.line((line) => stepCosts.safeParse(line['costs']).data);
    const costs = { devices: shape.devices, ...measured };
    const us = steps.map((step) => `${step} ${costs.cpuUs[step].toFixed(1)}`);
    print(`cost with ${costs.devices} devices, ${costs.attributes} attributes: ${us.join(', ')} µs`);
    results.push(costs);
    await redis.unlink(stream);
  }
  return results;
}
