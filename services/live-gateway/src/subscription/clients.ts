import { closeCode } from '@app/shared/protocol';
import type { Connection } from '../connection/connection.ts';

/** The open connections, by user: each user may have so many, and a new one closes the oldest. */
export class Clients {
  readonly #all = new Set<Connection>();
  /** In the order of opening. */
  readonly #byUser = new Map<string, Set<Connection>>();
  readonly #maxPerUser: number;

  constructor(maxPerUser: number) {
    this.#maxPerUser = maxPerUser;
  }

  get size(): number {
    return this.#all.size;
  }

  all(): Iterable<Connection> {
    return this.#all;
  }

  /**
   * The newest wins: it is the one that somebody looks at, and a forgotten tab must not lock its owner out. The close
   * code tells the oldest to stop, or the two would throw each other out for ever.
   */
  add(connection: Connection): void {
    const { userId } = connection.viewer;
    const own = this.#byUser.get(userId) ?? new Set();
    this.#byUser.set(userId, own.add(connection));
    this.#all.add(connection);
    if (own.size <= this.#maxPerUser) return;
    const [oldest] = own;
    oldest?.end(closeCode.tooManyConnections, 'opened in too many places');
  }

  remove(connection: Connection): void {
    const { userId } = connection.viewer;
    const own = this.#byUser.get(userId);
    own?.delete(connection);
    if (own?.size === 0) this.#byUser.delete(userId);
    this.#all.delete(connection);
  }
}
