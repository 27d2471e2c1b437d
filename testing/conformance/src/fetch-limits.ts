import { Client, tryConnect } from './client.ts';
import type { Target } from './target.ts';

/** The protocol's default limits, for a server whose `hello` cannot be read. */
export const defaultLimits: Target['limits'] = { messagesPerS: 10, subscriptions: 16 };

/** Reads the limits of a connection from the server's `hello`. */
export async function fetchLimits(target: Target): Promise<Target['limits']> {
  const { origin, session } = target;
  if (session === undefined) return defaultLimits;
  try {
    const connected = await tryConnect(target, 'batched', { origin, session });
    if (!(connected instanceof Client)) return defaultLimits;
    using client = connected;
    return (await client.next('hello')).limits;
  } catch {
    // A case about `hello` reports what is wrong with it.
    return defaultLimits;
  }
}
