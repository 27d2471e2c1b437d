import { Peer, tryConnect } from './peer.ts';
import type { Target } from './target.ts';

/** The limits of the contract, for a server that does not tell its own. */
export const usualLimits: Target['limits'] = { messagesPerS: 10, subscriptions: 16 };

/** Asks the server for the limits of a connection, which `hello` names. */
export async function learnLimits(target: Target): Promise<Target['limits']> {
  const { origin, session } = target;
  if (session === undefined) return usualLimits;
  try {
    const peer = await tryConnect(target, 'batched', { origin, session });
    if (!(peer instanceof Peer)) return usualLimits;
    using asked = peer;
    return (await asked.next('hello')).limits;
  } catch {
    // A sentence about `hello` will say what is wrong with it.
    return usualLimits;
  }
}
