import { between } from '@app/fleet-sim/random';
import type { Replicas } from '../replicas.ts';
import { type Fault, pick, seconds } from './fault.ts';

const names = ['processor-1', 'processor-2'];

export const processorFaults: readonly Fault[] = [
  {
    name: 'killed',
    place: 'processor',
    run: async ({ world: { replicas }, random, say, hold }) => {
      const name = pick(random, replicas.names);
      const awayMs = pick(random, [0, between(random, 200, 1500)]);
      say(`${name} killed (SIGKILL), away for ${seconds(awayMs)}`);
      await replicas.kill(name);
      await hold(awayMs);
      await replicas.start(name);
    },
  },
  {
    name: 'frozen',
    place: 'processor',
    run: async ({ world: { replicas }, random, say, hold }) => {
      // Longer than the claim time, so that another replica takes over what it holds.
      if (replicas.names.length === 1) await replicas.start(absent(replicas));
      const name = pick(random, replicas.names);
      const frozenMs = between(random, 1800, 4000);
      say(`${name} frozen (SIGSTOP) for ${seconds(frozenMs)}`);
      replicas.freeze(name);
      await hold(frozenMs);
      replicas.thaw(name);
    },
  },
  {
    name: 'stopped',
    place: 'processor',
    run: async ({ world: { replicas }, random, say }) => {
      const name = pick(random, replicas.names);
      say(`${name} stopped (SIGTERM) and started again`);
      const end = await replicas.stop(name);
      if (end !== 0) say(`${name} ended with ${end}`);
      await replicas.start(name);
    },
  },
  {
    name: 'a second one comes or goes',
    place: 'processor',
    run: async ({ world: { replicas }, random, say }) => {
      if (replicas.names.length === 1) {
        const joining = absent(replicas);
        say(`${joining} joins`);
        await replicas.start(joining);
        return;
      }
      const leaving = pick(random, replicas.names);
      if (random() < 0.5) {
        say(`${leaving} leaves (SIGTERM)`);
        await replicas.stop(leaving);
      } else {
        say(`${leaving} dies (SIGKILL) and does not come back`);
        await replicas.kill(leaving);
      }
    },
  },
];

/** The name that none of those running has: two with one name would take each other's entries. */
function absent(replicas: Replicas): string {
  const name = names.find((each) => !replicas.names.includes(each));
  if (name === undefined) throw new Error('all of them are running');
  return name;
}
