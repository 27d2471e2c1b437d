import { between } from '@app/fleet-sim/random';
import type { Replicas } from '../replicas.ts';
import { type Fault, pick, seconds } from './fault.ts';

const names = ['processor-1', 'processor-2'];

export const processorFaults: readonly Fault[] = [
  {
    name: 'killed',
    target: 'processor',
    run: async ({ harness: { replicas }, random, log, hold }) => {
      const name = pick(random, replicas.names);
      const awayMs = pick(random, [0, between(random, 200, 1500)]);
      log(`${name} killed (SIGKILL), away for ${seconds(awayMs)}`);
      await replicas.kill(name);
      await hold(awayMs);
      await replicas.start(name);
    },
  },
  {
    name: 'frozen',
    target: 'processor',
    run: async ({ harness: { replicas }, random, log, hold }) => {
      // Longer than CLAIM_IDLE_MS, so that the other replica claims its entries.
      if (replicas.names.length === 1) await replicas.start(absent(replicas));
      const name = pick(random, replicas.names);
      const frozenMs = between(random, 1800, 4000);
      log(`${name} frozen (SIGSTOP) for ${seconds(frozenMs)}`);
      replicas.freeze(name);
      await hold(frozenMs);
      replicas.thaw(name);
    },
  },
  {
    name: 'stopped',
    target: 'processor',
    run: async ({ harness: { replicas }, random, log }) => {
      const name = pick(random, replicas.names);
      log(`${name} stopped (SIGTERM) and started again`);
      const end = await replicas.stop(name);
      if (end !== 0) log(`${name} ended with ${end}`);
      await replicas.start(name);
    },
  },
  {
    name: 'second replica joins or leaves',
    target: 'processor',
    run: async ({ harness: { replicas }, random, log }) => {
      if (replicas.names.length === 1) {
        const joining = absent(replicas);
        log(`${joining} joins`);
        await replicas.start(joining);
        return;
      }
      const leaving = pick(random, replicas.names);
      if (random() < 0.5) {
        log(`${leaving} leaves (SIGTERM)`);
        await replicas.stop(leaving);
      } else {
        log(`${leaving} dies (SIGKILL) and does not come back`);
        await replicas.kill(leaving);
      }
    },
  },
];

/** A consumer name that is not in use. */
function absent(replicas: Replicas): string {
  const name = names.find((each) => !replicas.names.includes(each));
  if (name === undefined) throw new Error('all of them are running');
  return name;
}
