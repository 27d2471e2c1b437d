import type { Means, Target } from './target.ts';

/** One sentence of docs/protocol.md, and how to see whether it is true of a server. */
export interface Sentence {
  readonly says: string;
  /** What of the protocol's tables it stands for: `close 4005`, `error forbidden`, `message pong`. */
  readonly covers: readonly string[];
  /** What is missing of what it takes, in words; empty if it can be tested. */
  readonly missing: (target: Target) => readonly string[];
  /** Rejects, with why, if the sentence is not true. */
  readonly check: (target: Target) => Promise<void>;
  /** It mostly waits: it may run beside the others. */
  readonly isPatient: boolean;
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
  options: { readonly covers?: readonly string[]; readonly isPatient?: boolean } = {},
): Sentence {
  return {
    says,
    covers: options.covers ?? [],
    isPatient: options.isPatient ?? false,
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
