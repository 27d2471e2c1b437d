import * as fc from 'fast-check';
import type { RequestFault } from '../support/redis-gate.ts';

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never;

const draft = fc.record({
  kind: fc.oneof(
    { weight: 60, arbitrary: fc.constant('good' as const) },
    { weight: 11, arbitrary: fc.constantFrom('flagged', 'refused', 'undecodable', 'future') },
    { weight: 1, arbitrary: fc.constant('fatal' as const) },
  ),
  device: fc.nat(2),
  /** Fix time in seconds, from a small range, so that duplicates are frequent. */
  second: fc.nat(15),
  /** Records of one device and time with different variants conflict. */
  variant: fc.constantFrom(0, 0, 0, 0, 1, 2, 3),
});

/** One of a processor instance's connections, or its domain step. */
export type Connection = 'commands' | 'reader' | 'postgres' | 'domain step';

// 57014 is a statement timeout; 42P01, an undefined table, ends the process.
const sqlStates = ['57P01', '40001', '53300', '55P03', '25006', '08006', '57014', '42P01'];

function fault(connection: Connection, weight: number, ...effects: RequestFault['effect'][]) {
  const only: Partial<Record<string, RequestFault['execution'][]>> = { error: ['never'], delay: ['before'] };
  const outcomes = effects.flatMap((effect) => {
    const executions = only[effect] ?? (['never', 'before', 'after'] as const);
    const states = connection === 'postgres' && effect === 'error' ? sqlStates : [''];
    return executions.flatMap((execution) => states.map((sqlState) => ({ effect, execution, sqlState })));
  });
  const drawn = fc.record({
    connection: fc.constant(connection),
    /** Number of requests of the connection that pass before the one with the fault. */
    skip: fc.oneof(fc.nat(2), fc.nat(20)),
    outcome: fc.constantFrom(...outcomes),
  });
  return step('fault', weight, { fault: drawn });
}

function step<T extends string, F extends object>(
  type: T,
  weight: number,
  fields: { readonly [K in keyof F]: fc.Arbitrary<F[K]> },
) {
  return { weight, arbitrary: fc.record<F>(fields).map((drawn) => Object.assign({ type }, drawn)) };
}

const consumer = fc.constantFrom(0, 0, 0, 1);
const steps = [
  step('send', 480, { drafts: fc.array(draft, { minLength: 1, maxLength: 6 }) }),
  fault('reader', 240, 'error', 'cut', 'half-open', 'delay', 'crash'),
  // Seconds of waiting, hence rare.
  fault('reader', 5, 'silence'),
  fault('commands', 160, 'error', 'cut', 'delay', 'crash', 'silence'),
  fault('postgres', 160, 'error', 'cut', 'delay', 'crash', 'silence'),
  fault('domain step', 60, 'error', 'delay', 'crash'),
  step('start', 240, { consumer }),
  step('stop', 60, { consumer }),
  step('crash', 80, { consumer }),
  step('pause', 40, { consumer }),
  step('resume', 40, { consumer }),
  step('trim', 60, { maxLength: fc.nat(5) }),
  // Counted from the last entry sent.
  step('delete', 20, { back: fc.nat(8) }),
  step('delete stream', 4, {}),
  step('delete group', 4, {}),
] as const;
const restart = step('restart Redis', 200, {});

export type Draft = Drawn<typeof draft>;
export type Step = Drawn<(typeof steps)[number]['arbitrary'] | (typeof restart)['arbitrary']>;
export type Fault = Extract<Step, { type: 'fault' }>['fault'];
export type Plan = Drawn<ReturnType<typeof drawPlan>>;

/** The settings of the processors in one run, and what happens to them. */
export function drawPlan(canRestartRedis: boolean) {
  const paced = fc.record({
    step: fc.oneof(...steps, ...(canRestartRedis ? [restart] : [])),
    /** Number of requests of the processors before the next step. */
    requests: fc.oneof(fc.constant(0), fc.nat(4), fc.nat(16), fc.nat(60)),
  });
  return fc.record({
    env: fc.record({
      BATCH_SIZE: fc.constantFrom('1', '2', '4', '6'),
      WRITE_BATCH_SIZE: fc.constantFrom('1', '2', '4', '6'),
      WRITE_CONCURRENCY: fc.constantFrom('1', '2', '3'),
      WRITE_LINGER_MS: fc.constantFrom('0', '2'),
      MAX_DELIVERIES: fc.constantFrom('1', '2', '3'),
    }),
    /** With one consumer nothing is claimed. */
    hasSecondConsumer: fc.boolean(),
    startsFirst: fc.boolean(),
    steps: fc.array(paced, { minLength: 1, maxLength: 40, size: 'max' }),
  });
}
