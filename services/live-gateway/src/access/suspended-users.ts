import type { Sql } from 'postgres';
import { withDeadline } from '@app/runtime/deadline';
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

/** How the status of a user was found at admission; label `outcome` of `live_suspension_checks_total`. */
export type SuspensionCheck =
  | 'active'
  | 'suspended'
  /** Postgres did not answer in time, or the table is not readable. */
  | 'unchecked';

interface SuspendedUsersOptions {
  /** See `readSuspendedUsers`. */
  readonly read: (userIds: readonly string[]) => Promise<readonly string[] | undefined>;
  readonly onCheck: (outcome: SuspensionCheck) => void;
}

/** Maximum time that an admission waits for Postgres. */
const admissionTimeoutMs = 1_000;

/**
 * Finds suspended users: Directus 11 keeps accepting their sessions. Users are checked at admission, so that somebody
 * suspended while disconnected is refused, and polled while connected.
 *
 * Only one statement runs at a time; who asks meanwhile shares the next one. So a reconnect storm costs two statements,
 * not one per viewer.
 *
 * While Postgres does not answer, a user is admitted unless known to be suspended: Directus has accepted the session,
 * and refusing would make Postgres an outage of the live map. The poll closes the connection once Postgres answers.
 */
export class SuspendedUsers {
  readonly #options: SuspendedUsersOptions;
  #knownIds: ReadonlySet<string> = new Set();
  #running: Promise<unknown> = Promise.resolve();
  #next: { readonly userIds: Set<string>; readonly suspended: Promise<Suspended> } | undefined;

  constructor(options: SuspendedUsersOptions) {
    this.#options = options;
  }

  /** Refuses suspended users even if Directus accepts their session. */
  wrapAuthenticate(authenticate: Authenticate): Authenticate {
    return async (visitor) => {
      const identity = await authenticate(visitor);
      if (identity.kind !== 'user') return identity;
      return (await this.#isSuspended(identity.userId)) ? { kind: 'nobody' } : identity;
    };
  }

  /**
   * Polls Postgres and disconnects suspended users until the signal aborts; rejects with its reason. Covers connected
   * users and those suspended so far, which may have been reactivated.
   */
  async run(options: {
    readonly connectedUserIds: () => Iterable<string>;
    readonly onSuspended: (userId: string) => void;
    readonly onUnreadable: () => void;
    /** Called after each poll, with the error if it failed. */
    readonly onResult: (error?: unknown) => void;
    readonly intervalMs: number;
    readonly signal: AbortSignal;
  }): Promise<never> {
    const { intervalMs, signal } = options;
    let isUnreadable = false;
    for (;;) {
      await delay(intervalMs, signal);
      const userIds = new Set([...options.connectedUserIds(), ...this.#knownIds]);
      let failure: unknown;
      try {
        const suspended = userIds.size === 0 ? new Set<string>() : await this.#find(userIds);
        if (suspended === undefined && !isUnreadable) options.onUnreadable();
        isUnreadable = suspended === undefined;
        this.#knownIds = new Set([...userIds].filter((userId) => suspended?.has(userId)));
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
      }
      options.onResult(failure);
      for (const userId of this.#knownIds) options.onSuspended(userId);
    }
  }

  async #isSuspended(userId: string): Promise<boolean> {
    const check = withDeadline(this.#find([userId]), admissionTimeoutMs, 'suspended-user query');
    // A failure is logged by the poll, which meets the same one.
    const suspended = await check.catch(() => undefined);
    const isSuspended = (suspended ?? this.#knownIds).has(userId);
    this.#options.onCheck(isSuspended ? 'suspended' : suspended === undefined ? 'unchecked' : 'active');
    return isSuspended;
  }

  /** The suspended ones of these users, and perhaps of others; undefined if the table is not readable. */
  #find(userIds: Iterable<string>): Promise<Suspended> {
    this.#next ??= this.#queueStatement();
    for (const userId of userIds) this.#next.userIds.add(userId);
    return this.#next.suspended;
  }

  #queueStatement(): { readonly userIds: Set<string>; readonly suspended: Promise<Suspended> } {
    const userIds = new Set<string>();
    const suspended = this.#running.then(async () => {
      this.#next = undefined;
      const found = await this.#options.read([...userIds]);
      return found && new Set(found);
    });
    this.#running = suspended.catch(() => undefined);
    return { userIds, suspended };
  }
}

type Suspended = ReadonlySet<string> | undefined;
