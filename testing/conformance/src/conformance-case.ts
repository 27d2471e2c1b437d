import type { Capabilities, Target } from './target.ts';

/**
 * `serial`: changes what other cases would notice, or is short. `parallel`: runs after those, several at once, since each
 * waits for a server of its own. `background`: starts first, beside all others; it mostly waits.
 */
export type Schedule = 'serial' | 'parallel' | 'background';

/** One rule of docs/protocol.md and the check that a server follows it. */
export interface ConformanceCase {
  readonly title: string;
  /** Rows of the protocol's tables that it covers: `close 4005`, `error forbidden`, `message pong`. */
  readonly covers: readonly string[];
  /** Describes each capability that the target lacks; empty if the case can run. */
  readonly missing: (target: Target) => readonly string[];
  /** Rejects with the reason if the server breaks the rule. */
  readonly check: (target: Target) => Promise<void>;
  readonly schedule: Schedule;
}

const capabilityNames: Readonly<Record<keyof Capabilities, string>> = {
  session: 'a session (LIVE_SESSION)',
  eventId: 'an event that the session may see (--event)',
  openTestEvent: 'a stream and a database (--event, --stream, REDIS_URL, POSTGRES_URL)',
  directus: 'a controllable Directus',
  ownStream: 'a separate stream',
  replicas: 'further servers with other settings',
};

type TargetWith<N extends keyof Capabilities> = Target & Pick<Capabilities, N>;

/** @param needs capabilities without which the case is reported as not tested. */
export function defineCase<const N extends keyof Capabilities = never>(
  title: string,
  needs: readonly N[],
  check: (target: TargetWith<N>) => Promise<void>,
  options: { readonly covers?: readonly string[]; readonly schedule?: Schedule } = {},
): ConformanceCase {
  return {
    title,
    covers: options.covers ?? [],
    schedule: options.schedule ?? 'serial',
    missing: (target) =>
      needs.filter((need) => target[need] === undefined).map((need) => capabilityNames[need]),
    check: async (target) => {
      if (!hasCapabilities(target, needs)) throw new Error('the target lacks a capability of this case');
      await check(target);
    },
  };
}

function hasCapabilities<N extends keyof Capabilities>(
  target: Target,
  needs: readonly N[],
): target is TargetWith<N> {
  return needs.every((need) => target[need] !== undefined);
}
