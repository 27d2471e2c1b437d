import { densify } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { type Revision, revisionColumns } from './revision.ts';

/** An event is taken over from a holder that has not renewed for this long, by the clock of Postgres. */
const expiresAfterS = 10;
const renewIntervalMs = 2000;

/** The right to write the results of an event. Every write names holder and epoch. */
export interface EventLease {
  readonly eventId: string;
  readonly holder: string;
  readonly epoch: number;
  /** Of the results when the event was claimed. */
  readonly revision: Revision;
  renewedAtMs: number;
}

/** Another processor has taken the event over: nothing of what is known here may be written any more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/** Undefined while another processor holds the event. One's own is taken over at once, with a new epoch. */
export async function claimEvent(
  postgres: PostgresClient,
  eventId: string,
  holder: string,
): Promise<EventLease | undefined> {
  const [row] = densify(
    await postgres.run(
      (sql) =>
        sql.unsafe<(Revision & { epoch: number })[]>(
          `insert into evaluations as held (event_id, holder) values ($1::uuid, $2)
           on conflict (event_id) do update
              set holder = excluded.holder, epoch = held.epoch + 1, renewed_at = clock_timestamp()
            where held.holder = excluded.holder
               or held.renewed_at < clock_timestamp() - interval '${expiresAfterS} seconds'
           returning epoch::float8 as epoch, ${revisionColumns}`,
          [eventId, holder],
        ),
      'claiming an event',
    ),
  );
  if (!row) return undefined;
  const { epoch, ...revision } = row;
  return { eventId, holder, epoch, revision, renewedAtMs: performance.now() };
}

/** How many of these events no processor evaluates. */
export async function countUnevaluated(
  postgres: PostgresClient,
  eventIds: readonly string[],
): Promise<number> {
  const [row] = densify(
    await postgres.run(
      (sql) =>
        sql.unsafe<{ count: number }[]>(
          `select count(*)::int as count
             from json_array_elements_text($1::text::json) as running (id)
             left join evaluations on event_id = id::uuid
            where renewed_at is null or renewed_at < clock_timestamp() - interval '${expiresAfterS} seconds'`,
          [JSON.stringify(eventIds)],
        ),
      'reading who evaluates running events',
    ),
  );
  return row?.count ?? 0;
}

/** @throws {LeaseLostError} */
export async function renewIfDue(postgres: PostgresClient, lease: EventLease): Promise<void> {
  if (performance.now() - lease.renewedAtMs < renewIntervalMs) return;
  await setRenewedAt(postgres, lease, 'clock_timestamp()');
}

/** Lets another processor take the event over at once. */
export async function releaseEvent(postgres: PostgresClient, lease: EventLease): Promise<void> {
  await setRenewedAt(postgres, lease, "'-infinity'");
}

async function setRenewedAt(postgres: PostgresClient, lease: EventLease, renewedAt: string): Promise<void> {
  const rows = await postgres.run(
    (sql) =>
      sql.unsafe(
        `update evaluations set renewed_at = ${renewedAt}
          where event_id = $1::uuid and holder = $2 and epoch = $3::bigint returning 1`,
        [lease.eventId, lease.holder, lease.epoch],
      ),
    'renewing the lease of an event',
  );
  if (rows.length === 0) throw new LeaseLostError(`another processor evaluates the event ${lease.eventId}`);
  lease.renewedAtMs = performance.now();
}
