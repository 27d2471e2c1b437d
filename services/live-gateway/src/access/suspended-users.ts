import type { Sql } from 'postgres';
import { densify } from '@app/runtime/postgres';
import { delay } from '@app/runtime/retry';
import { isUuid } from '@app/shared/topics';
import type { Authenticate } from './authenticate.ts';

/** SQLSTATE: undefined table, insufficient privilege. */
const unreadableCodes: ReadonlySet<unknown> = new Set(['42P01', '42501']);

/**
 * Returns those of the users that are not active, by `directus_users.status`; undefined if the table is missing or not
 * readable. Rejects with postgres.js' other errors.
 *
 * Users missing from the table are not returned: Directus ends the sessions of users that it deletes.
 */
export async function readSuspendedUsers(
  sql: Sql,
  userIds: readonly string[],
): Promise<readonly string[] | undefined> {
  // JSON, since the services' Postgres clients do not fetch array types.
  const requested = JSON.stringify(userIds.filter(isUuid));
  try {
    const rows = await sql<{ id: string }[]>`
      select id::text
        from directus_users
        join json_array_elements_text(${requested}::text::json) as requested (user_id) on id = requested.user_id::uuid
       where status <> 'active'`;
    return densify(rows).map(({ id }) => id);
  } catch (error) {
    if (error instanceof Error && 'code' in error && unreadableCodes.has(error.code)) return undefined;
    throw error;
  }
}

/**
 * The suspended users. Directus 11 keeps accepting the sessions of a suspended user, so that without this list the user
 * could reconnect after its connections are closed.
 */
export class SuspendedUsers {
  #userIds: ReadonlySet<string> = new Set();

  /** Refuses suspended users even if Directus accepts their session. */
  wrapAuthenticate(authenticate: Authenticate): Authenticate {
    return async (visitor) => {
      const identity = await authenticate(visitor);
      return identity.kind === 'user' && this.#userIds.has(identity.userId) ? { kind: 'nobody' } : identity;
    };
  }

  /**
   * Polls Postgres and disconnects suspended users until the signal aborts; rejects with its reason. Covers connected
   * users and those suspended so far, which may have been reactivated.
   */
  async run(options: {
    readonly read: (userIds: readonly string[]) => Promise<readonly string[] | undefined>;
    readonly connectedUserIds: () => Iterable<string>;
    readonly onSuspended: (userId: string) => void;
    readonly onUnreadable: () => void;
    /** Called after each poll, with the error if it failed. */
    readonly onResult: (error?: unknown) => void;
    readonly intervalMs: number;
    readonly signal: AbortSignal;
  }): Promise<never> {
    const { read, intervalMs, signal } = options;
    let isUnreadable = false;
    for (;;) {
      await delay(intervalMs, signal);
      const userIds = new Set([...options.connectedUserIds(), ...this.#userIds]);
      let failure: unknown;
      try {
        const suspended = userIds.size === 0 ? [] : await read([...userIds]);
        if (suspended === undefined && !isUnreadable) options.onUnreadable();
        isUnreadable = suspended === undefined;
        this.#userIds = new Set(suspended);
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
      options.onResult(failure);
      for (const userId of this.#userIds) options.onSuspended(userId);
    }
  }
}
