import { between } from '@app/fleet-sim/random';
import { type Fault, seconds } from './fault.ts';
import { networkFaults } from './network-faults.ts';

export const redisFaults: readonly Fault[] = [
  ...networkFaults('redis', 'Redis', ({ toRedis }) => toRedis, 30),
  {
    name: 'restarted',
    place: 'redis',
    run: async ({ world: { ownRedis }, random, say, hold }) => {
      const awayMs = between(random, 0, 2000);
      say(`Redis stopped (SIGTERM), away for ${seconds(awayMs)}`);
      await ownRedis.stop();
      await hold(awayMs);
      await ownRedis.start();
    },
  },
  {
    name: 'killed',
    place: 'redis',
    run: async ({ world: { ownRedis }, random, say, hold }) => {
      const awayMs = between(random, 0, 2000);
      say(`Redis killed (SIGKILL), away for ${seconds(awayMs)}`);
      await ownRedis.kill();
      await hold(awayMs);
      await ownRedis.start();
    },
  },
  {
    name: 'frozen',
    place: 'redis',
    run: async ({ world: { ownRedis }, random, say, hold }) => {
      const frozenMs = between(random, 500, 4000);
      say(`Redis frozen (SIGSTOP) for ${seconds(frozenMs)}`);
      ownRedis.pause();
      await hold(frozenMs);
      ownRedis.resume();
    },
  },
];
