import type { Means, Target } from './target.ts';

/**
 * `alone`: it changes what others would notice, or is over soon. `together`: after those, some at once, for each has a
 * server of its own to wait for. `meanwhile`: from the beginning on, beside everything else; it mostly waits.
 */
export type Pace = 'alone' | 'together' | 'meanwhile';

/** One sentence of docs/protocol.md, and how to see whether it is true of a server. */
export interface Sentence {
  readonly says: string;
  /** What of the protocol's tables it stands for: `close 4005`, `error forbidden`, `message pong`. */
  readonly covers: readonly string[];
  /** What is missing of what it takes, in words; empty if it can be tested. */
  readonly missing: (target: Target) => readonly string[];
  /** Rejects, with why, if the sentence is not true. */
  readonly check: (target: Target) => Promise<void>;
  readonly pace: Pace;
}

const inWords: Readonly<Record<keyof Means, string>> = {
  session: 'a session (LIVE_SESSION)',
  eventId: 'an event that the session may see (--event)',
  openStage: 'a stream and a database (--event, --stream, REDIS_URL, POSTGRES_URL)',
  directus: 'a Directus that does as it is told',
  ownStream: 'a stream of its own',
  replicas: 'further servers with settings of their own',
};

type Equipped<N extends keyof Means> = Target & Pick<Means, N>;

/** @param needs without these it is not tested, and that is said. */
export function sentence<const N extends keyof Means = never>(
  says: string,
  needs: readonly N[],
  check: (target: Equipped<N>) => Promise<void>,
  options: { readonly covers?: readonly string[]; readonly pace?: Pace } = {},
): Sentence {
  return {
    says,
    covers: options.covers ?? [],
    pace: options.pace ?? 'alone',
    missing: (target) => needs.filter((need) => target[need] === undefined).map((need) => inWords[need]),
    check: async (target) => {
      if (!isEquipped(target, needs)) throw new Error('called without what it needs');
      await check(target);
    },
  };
}

function isEquipped<N extends keyof Means>(target: Target, needs: readonly N[]): target is Equipped<N> {
  return needs.every((need) => target[need] !== undefined);
}
