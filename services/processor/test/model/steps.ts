import * as fc from 'fast-check';
import type { Fault, PortCall, Trouble } from './faults.ts';
import type { Draft } from './ledger.ts';

/** One thing that happens in a run; `who` is one of two consumers. */
export type Step =
  | { readonly do: 'add'; readonly drafts: readonly Draft[] }
  | { readonly do: 'arm'; readonly fault: Fault }
  | { readonly do: 'start' | 'stop' | 'stall' | 'wake'; readonly who: number }
  | { readonly do: 'kill'; readonly who: number; readonly isHalfOpen: boolean }
  | { readonly do: 'trim'; readonly keep: number }
  | { readonly do: 'delete'; readonly nth: number }
  | { readonly do: 'lose Redis'; readonly downMs: number }
  | { readonly do: 'lose stream' | 'lose group' | 'restart Redis' };

/** A step, and how many calls at the ports of the processors are let pass before the next one. */
export interface PacedStep {
  readonly step: Step;
  readonly calls: number;
}

/** How the processors of one run are set up, and what happens to them. */
export interface Plan {
  readonly setup: Setup;
  readonly steps: readonly PacedStep[];
}

export interface Setup {
  readonly readCount: number;
  readonly batchSize: number;
  readonly concurrency: number;
  readonly lingerMs: number;
  readonly maxDeliveries: number;
  /** Without claims a consumer must find everything that is its own by itself. */
  readonly hasSecondConsumer: boolean;
  /** Whether the group is there before the first entry. */
  readonly beginsRunning: boolean;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  kind: fc.oneof(
    { weight: 60, arbitrary: fc.constant('fix' as const) },
    { weight: 8, arbitrary: fc.constantFrom('blind', 'refused', 'garbage') },
    { weight: 3, arbitrary: fc.constant('future' as const) },
    { weight: 1, arbitrary: fc.constant('killer' as const) },
  ),
  device: fc.nat(2),
  second: fc.nat(15),
  variant: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(3)),
});

const skip = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(2));

const often: Trouble[] = [
  'fails',
  'cut',
  'answer lost',
  'slow',
  'death before',
  'death meanwhile',
  'death after',
];

function fault(calls: readonly PortCall[], troubles: readonly Trouble[]): fc.Arbitrary<Step> {
  return fc
    .record({ call: fc.constantFrom(...calls), trouble: fc.constantFrom(...troubles), skip })
    .map((drawn): Step => ({ do: 'arm', fault: drawn }));
}

const readerCalls: PortCall[] = [
  'greet',
  'read',
  'rest',
  'look',
  'settle',
  'check',
  'own pending',
  'claim',
  'deliveries',
];
const commandCalls: PortCall[] = ['ack', 'park', 'mark', 'unmark'];
const postgresCalls: PortCall[] = ['insert', 'compare', 'hydrate'];

const who = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constant(1));

const steps: readonly { readonly weight: number; readonly arbitrary: fc.Arbitrary<Step> }[] = [
  {
    weight: 480,
    arbitrary: fc.array(draft, { minLength: 1, maxLength: 6 }).map((drafts): Step => ({ do: 'add', drafts })),
  },
  { weight: 120, arbitrary: fault(readerCalls, [...often, 'half-open']) },
  { weight: 160, arbitrary: fault(commandCalls, [...often, 'silence']) },
  { weight: 160, arbitrary: fault(postgresCalls, [...often, 'silence', 'late', 'too slow', 'ours']) },
  { weight: 60, arbitrary: fault(['hear'], ['fails', 'slow', 'death before', 'death after']) },
  // Seconds of waiting: seldom.
  { weight: 5, arbitrary: fault(readerCalls, ['silence', 'late']) },
  { weight: 240, arbitrary: fc.record({ do: fc.constant('start' as const), who }) },
  { weight: 60, arbitrary: fc.record({ do: fc.constant('stop' as const), who }) },
  { weight: 80, arbitrary: fc.record({ do: fc.constant('kill' as const), who, isHalfOpen: fc.boolean() }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('stall' as const), who }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('wake' as const), who }) },
  { weight: 60, arbitrary: fc.record({ do: fc.constant('trim' as const), keep: fc.nat(5) }) },
  { weight: 20, arbitrary: fc.record({ do: fc.constant('delete' as const), nth: fc.nat(8) }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('lose Redis' as const), downMs: fc.nat(60) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('lose stream' as const, 'lose group' as const) }) },
];

const setup: fc.Arbitrary<Setup> = fc.record({
  readCount: fc.integer({ min: 1, max: 6 }),
  batchSize: fc.integer({ min: 1, max: 6 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
  lingerMs: fc.constantFrom(0, 2),
  maxDeliveries: fc.integer({ min: 1, max: 3 }),
  hasSecondConsumer: fc.boolean(),
  beginsRunning: fc.boolean(),
});

const restart = { weight: 200, arbitrary: fc.constant<Step>({ do: 'restart Redis' }) };

/** @param hasOwnRedis Whether the run has a Redis to itself, which may be restarted. */
export function planOf(hasOwnRedis: boolean): fc.Arbitrary<Plan> {
  const step = fc.oneof(...steps, ...(hasOwnRedis ? [restart] : []));
  return fc.record({
    setup,
    steps: fc.array(fc.record({ step, calls: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(16)) }), {
      minLength: 1,
      maxLength: 40,
      size: 'max',
    }),
  });
}
