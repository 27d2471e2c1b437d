import type { Sql } from 'postgres';
import { densify } from '@app/runtime/postgres';
import { delay } from '@app/runtime/retry';
import { isUuid } from '@app/shared/topics';
import type { Authenticate } from './authenticate.ts';

/** Undefined table; insufficient privilege. */
const unreadable: ReadonlySet<unknown> = new Set(['42P01', '42501']);

/**
 * Which of these users may no longer come in, by `directus_users.status`; undefined where there is no such table, or
 * none that may be read. Rejects with postgres.js' other errors.
 *
 * One who is not in the table at all is not named: Directus ends the sessions of those whom it deletes.
 */
export async function readSuspendedUsers(
  sql: Sql,
  userIds: readonly string[],
): Promise<readonly string[] | undefined> {
  // As a text: the services' clients know no array types.
  const asked = JSON.stringify(userIds.filter(isUuid));
  try {
    const rows = await sql<{ id: string }[]>`
      select id::text
        from directus_users
        join json_array_elements_text(${asked}::text::json) as asked (user_id) on id = asked.user_id::uuid
       where status <> 'active'`;
    return densify(rows).map(({ id }) => id);
  } catch (error) {
    if (error instanceof Error && 'code' in error && unreadable.has(error.code)) return undefined;
    throw error;
  }
}

/**
 * The users known to be suspended. Directus 11 goes on answering a suspended user's session as if nothing had happened,
 * so that closing its connections would not keep it out.
 */
export class SuspendedUsers {
  #userIds: ReadonlySet<string> = new Set();

  /** Lets nobody in who is suspended, whatever Directus says. */
  wrapAuthenticate(authenticate: Authenticate): Authenticate {
    return async (visitor) => {
      const identity = await authenticate(visitor);
      return identity.kind === 'user' && this.#userIds.has(identity.userId) ? { kind: 'nobody' } : identity;
    };
  }

  /**
   * Keeps them known until the signal; rejects with its reason. Asks about those who are connected, and about those
   * who were found suspended before: they may have been let in again.
   */
  async run(options: {
    readonly read: (userIds: readonly string[]) => Promise<readonly string[] | undefined>;
    readonly connectedUserIds: () => Iterable<string>;
    readonly onSuspended: (userId: string) => void;
    readonly onUnreadable: () => void;
    /** Called once a turn: with the error, or without one when it went well. */
    readonly onResult: (error?: unknown) => void;
    readonly intervalMs: number;
    readonly signal: AbortSignal;
  }): Promise<never> {
    const { read, intervalMs, signal } = options;
    let isUnreadable = false;
    for (;;) {
      await delay(intervalMs, signal);
      const asked = new Set([...options.connectedUserIds(), ...this.#userIds]);
      let problem: unknown;
      try {
        const found = asked.size === 0 ? [] : await read([...asked]);
        if (found === undefined && !isUnreadable) options.onUnreadable();
        isUnreadable = found === undefined;
        this.#userIds = new Set(found);
      } catch (error) {
        signal.throwIfAborted();
        problem = error;
      }
      options.onResult(problem);
      for (const userId of this.#userIds) options.onSuspended(userId);
    }
  }
}
