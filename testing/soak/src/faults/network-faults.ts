import { between } from '@app/fleet-sim/random';
import type { FaultyNetwork } from '@app/test-kit/faulty-network';
import type { SoakHarness } from '../open-harness.ts';
import { type Fault, pick, type FaultTarget, seconds } from './fault.ts';

/** Faults of the network between the processors and one server. */
export function networkFaults(
  target: FaultTarget,
  server: string,
  network: (harness: SoakHarness) => FaultyNetwork,
  maxDelayMs: number,
): readonly Fault[] {
  return [
    {
      name: 'cut',
      target,
      run: async ({ harness, random, log, hold }) => {
        const cuts = pick(random, [1, 1, 3, 6]);
        log(`connections to ${server} cut, ${cuts} times`);
        for (let n = 0; n < cuts; n += 1) {
          network(harness).cut();
          await hold(between(random, 0, 300));
        }
      },
    },
    {
      name: 'half-open',
      target,
      run: async ({ harness, log, hold }) => {
        log(`connections to ${server} half-open: it does not notice that its clients are gone`);
        network(harness).halfOpen();
        await hold(3000);
        await network(harness).heal();
      },
    },
    {
      name: 'swallowed',
      target,
      run: async ({ harness, random, log, hold }) => {
        const direction = pick(random, ['both', 'toServer', 'toClient'] as const);
        const silentMs = between(random, 500, 4000);
        const bytes = { both: 'bytes to and from', toServer: 'bytes to', toClient: 'bytes from' }[direction];
        log(`${bytes} ${server} swallowed for ${seconds(silentMs)}`);
        network(harness).swallow(direction);
        await hold(silentMs);
        await network(harness).heal();
      },
    },
    {
      name: 'unreachable',
      target,
      run: async ({ harness, random, log, hold }) => {
        const awayMs = between(random, 200, 3000);
        log(`${server} unreachable for ${seconds(awayMs)}`);
        await network(harness).refuse();
        network(harness).cut();
        await hold(awayMs);
        await network(harness).heal();
      },
    },
    {
      name: 'slow',
      target,
      run: async ({ harness, random, log, hold }) => {
        const delayMs = Math.round(between(random, 1, maxDelayMs));
        log(`network to ${server} slow, ${delayMs} ms each way`);
        network(harness).delay(delayMs);
        await hold(between(random, 1000, 4000));
        await network(harness).heal();
      },
    },
  ];
}
