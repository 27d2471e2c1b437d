import { closeReasons } from './close-reasons.ts';
import type { Connection } from './connection.ts';
import type { Client } from './client.ts';

/** The connected clients by user, at most `maxPerUser` each: one more closes the user's oldest connection. */
export class Clients {
  readonly #all = new Set<Client>();
  /** Each set oldest first. */
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

  /** The ids of all connected users. */
  userIds(): Iterable<string> {
    return this.#byUser.keys();
  }

  /**
   * Above the limit the oldest connection is closed, not the new one refused: a forgotten tab must not lock its user
   * out. The close code tells the closed client not to reconnect, or the two would evict each other for ever.
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

  /** Closes all connections of a user whose sessions are no longer valid. */
  endSessionsOf(userId: string): void {
    // A copy: `end` calls the close handler synchronously, which removes the client from the set.
    for (const { connection } of Array.from(this.#byUser.get(userId) ?? [])) {
      connection.end(closeReasons.sessionInvalid);
    }
  }
}
