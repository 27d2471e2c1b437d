import { between } from '@app/fleet-sim/random';
import type { FaultyNetwork } from '@app/test-kit/faulty-network';
import type { SoakWorld } from '../open-world.ts';
import { type Fault, pick, type Place, seconds } from './fault.ts';

/** What can happen to the network between the processors and one server. */
export function networkFaults(
  place: Place,
  server: string,
  network: (world: SoakWorld) => FaultyNetwork,
  longestDelayMs: number,
): readonly Fault[] {
  return [
    {
      name: 'cut',
      place,
      run: async ({ world, random, say, hold }) => {
        const cuts = pick(random, [1, 1, 3, 6]);
        say(`connections to ${server} cut, ${cuts} times`);
        for (let n = 0; n < cuts; n += 1) {
          network(world).cut();
          await hold(between(random, 0, 300));
        }
      },
    },
    {
      name: 'half-open',
      place,
      run: async ({ world, say, hold }) => {
        say(`connections to ${server} half-open: it does not hear that the other end is gone`);
        network(world).halfOpen();
        await hold(3000);
        await network(world).heal();
      },
    },
    {
      name: 'swallowed',
      place,
      run: async ({ world, random, say, hold }) => {
        const direction = pick(random, ['both', 'toServer', 'toClient'] as const);
        const silentMs = between(random, 500, 4000);
        say(
          `bytes ${direction === 'both' ? 'to and from' : direction} ${server} swallowed for ${seconds(silentMs)}`,
        );
        network(world).swallow(direction);
        await hold(silentMs);
        await network(world).heal();
      },
    },
    {
      name: 'out of reach',
      place,
      run: async ({ world, random, say, hold }) => {
        const awayMs = between(random, 200, 3000);
        say(`${server} out of reach for ${seconds(awayMs)}`);
        await network(world).refuse();
        network(world).cut();
        await hold(awayMs);
        await network(world).heal();
      },
    },
    {
      name: 'slow',
      place,
      run: async ({ world, random, say, hold }) => {
        const delayMs = Math.round(between(random, 1, longestDelayMs));
        say(`network to ${server} slow, ${delayMs} ms each way`);
        network(world).delay(delayMs);
        await hold(between(random, 1000, 4000));
        await network(world).heal();
      },
    },
  ];
}
