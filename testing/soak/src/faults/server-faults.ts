import { between } from '@app/fleet-sim/random';
import type { OwnRedis } from '@app/test-kit/redis';
import type { SoakHarness } from '../open-harness.ts';
import { type Fault, type FaultTarget, seconds } from './fault.ts';

/** Faults of one server's process. */
export function serverFaults(
  target: FaultTarget,
  name: string,
  serverOf: (harness: SoakHarness) => Pick<OwnRedis, 'stop' | 'kill' | 'start' | 'pause' | 'resume'>,
): readonly Fault[] {
  const restart = (how: 'stop' | 'kill'): Fault['run'] => {
    return async ({ harness, random, log, hold }) => {
      const server = serverOf(harness);
      const awayMs = between(random, 0, 2000);
      log(`${name} ${how === 'stop' ? 'stopped' : 'killed (SIGKILL)'}, away for ${seconds(awayMs)}`);
      await server[how]();
      await hold(awayMs);
      await server.start();
    };
  };
  return [
    { name: 'restarted', target, run: restart('stop') },
    { name: 'killed', target, run: restart('kill') },
    {
      name: 'frozen',
      target,
      run: async ({ harness, random, log, hold }) => {
        const frozenMs = between(random, 500, 4000);
        log(`${name} frozen (SIGSTOP) for ${seconds(frozenMs)}`);
        serverOf(harness).pause();
        await hold(frozenMs);
        serverOf(harness).resume();
      },
    },
  ];
}
