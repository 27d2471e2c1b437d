import { addressNetwork } from '../access/address-network.ts';
import type { Viewer } from '../access/visitor.ts';
import { closeReasons } from './close-reasons.ts';
import type { Connection } from './connection.ts';
import type { Client } from './client.ts';

interface ClientsLimits {
  readonly maxPerUser: number;
  readonly maxAnonymousPerAddress: number;
}

/**
 * The connected clients by user, at most `maxPerUser` each; anonymous ones by address, at most `maxAnonymousPerAddress`
 * each.
 */
export class Clients {
  readonly #all = new Set<Client>();
  /** Each set oldest first. */
  readonly #byUser = new Map<string, Set<Client>>();
  readonly #anonymous = new Map<string, Set<Client>>();
  readonly #limits: ClientsLimits;

  constructor(limits: ClientsLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.size;
  }

  all(): Iterable<Client> {
    return this.#all;
  }

  connections(): readonly Connection[] {
    return Array.from(this.#all, (client) => client.connection);
  }

  /** The ids of all connected users. */
  userIds(): Iterable<string> {
    return this.#byUser.keys();
  }

  /**
   * Above the limit the oldest connection of a user is closed, not the new one refused: a forgotten tab must not lock
   * its user out. The close code tells the closed client not to reconnect, or the two would evict each other for ever.
   *
   * Of anonymous clients the new one is closed: those of one address may be strangers, who must not evict each other.
   */
  add(client: Client): void {
    const { groups, key, max } = this.#groupOf(client.viewer);
    const group = groups.get(key) ?? new Set();
    groups.set(key, group.add(client));
    this.#all.add(client);
    if (group.size <= max) return;
    if (groups === this.#anonymous) {
      client.connection.end(closeReasons.tooManyFromAddress);
      return;
    }
    const [oldest] = group;
    oldest?.connection.end(closeReasons.tooManyConnections);
  }

  remove(client: Client): void {
    const { groups, key } = this.#groupOf(client.viewer);
    const group = groups.get(key);
    group?.delete(client);
    if (group?.size === 0) groups.delete(key);
    this.#all.delete(client);
  }

  #groupOf({ userId, address }: Viewer): {
    readonly groups: Map<string, Set<Client>>;
    readonly key: string;
    readonly max: number;
  } {
    return userId === undefined
      ? {
          groups: this.#anonymous,
          key: addressNetwork(address),
          max: this.#limits.maxAnonymousPerAddress,
        }
      : { groups: this.#byUser, key: userId, max: this.#limits.maxPerUser };
  }

  /** Closes all connections of a user whose sessions are no longer valid. */
  endSessionsOf(userId: string): void {
    // A copy: `end` calls the close handler synchronously, which removes the client from the set.
    for (const { connection } of Array.from(this.#byUser.get(userId) ?? [])) {
      connection.end(closeReasons.sessionInvalid);
    }
  }
}
