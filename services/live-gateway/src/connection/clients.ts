import { closeReasons } from './close-reasons.ts';
import type { Connection } from './connection.ts';
import type { Client } from './client.ts';

/** The clients that are connected, by user: each user may have so many, and a new one closes the oldest. */
export class Clients {
  readonly #all = new Set<Client>();
  /** In the order of opening. */
  readonly #byUser = new Map<string, Set<Client>>();
  readonly #maxPerUser: number;

  constructor(maxPerUser: number) {
    this.#maxPerUser = maxPerUser;
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

  /** The ids of all who are connected. */
  userIds(): Iterable<string> {
    return this.#byUser.keys();
  }

  /**
   * The newest wins: it is the one that somebody looks at, and a forgotten tab must not lock its owner out. The close
   * code tells the oldest to stop, or the two would throw each other out for ever.
   */
  add(client: Client): void {
    const { userId } = client.viewer;
    const own = this.#byUser.get(userId) ?? new Set();
    this.#byUser.set(userId, own.add(client));
    this.#all.add(client);
    if (own.size <= this.#maxPerUser) return;
    const [oldest] = own;
    oldest?.connection.end(closeReasons.tooManyConnections);
  }

  remove(client: Client): void {
    const { userId } = client.viewer;
    const own = this.#byUser.get(userId);
    own?.delete(client);
    if (own?.size === 0) this.#byUser.delete(userId);
    this.#all.delete(client);
  }

  /** Ends all connections of a user whose sessions are no longer valid. */
  endSessionsOf(userId: string): void {
    // A copy: `end` calls the close handler synchronously, which takes the client out of the set.
    for (const { connection } of Array.from(this.#byUser.get(userId) ?? [])) {
      connection.end(closeReasons.sessionInvalid);
    }
  }
}
