import { compareEntryIds } from '@app/shared/entry';
import type { DeadLetter } from '../../src/stream/dead-letter.ts';
import { readDeadLetters } from '../support/expect-all-stored.ts';
import type { RunContext } from './run-context.ts';
import { keyOf, type SentEntry } from './sent-log.ts';

/** The consumer group of a run as Redis has it; undefined where there is none. */
export async function readGroup({ stream, servers: { redis } }: RunContext) {
  const transaction = redis.multi().xinfo('GROUPS', stream).xpending(stream, 'processor', '-', '+', 10_000);
  const results = (await transaction.exec()) ?? [];
  const [groups, pending] = results.map(([error, reply]) => (error === null ? reply : undefined));
  const info: unknown = Array.isArray(groups) ? groups[0] : undefined;
  if (!Array.isArray(info) || !Array.isArray(pending)) return undefined;
  return {
    lastDeliveredId: String(info[info.indexOf('last-delivered-id') + 1]),
    pendingIds: new Set(pending.map((row) => (Array.isArray(row) ? String(row[0]) : ''))),
  };
}

/** The rows of the run's devices: the content of each by its key. */
export async function readRows({ sent, servers: { sql } }: RunContext): Promise<ReadonlyMap<string, string>> {
  const rows = await sql<{ deviceId: string; fixAtMs: number; content: string }[]>`
    select device_id as "deviceId", (extract(epoch from ts) * 1000)::float8 as "fixAtMs",
           attributes ->> 'content' as content
    from (select * from positions union all select * from positions_past_limit) as stored
    where device_id in ${sql(sent.deviceIds)}`;
  const byKey = new Map(rows.map((row) => [keyOf(row.deviceId, row.fixAtMs), row.content]));
  if (byKey.size !== rows.length) throw new Error('positions holds a key twice');
  return byKey;
}

type Rows = ReadonlyMap<string, string>;

function isStored({ isStorable, key, content }: SentEntry, rows: Rows): boolean {
  return isStorable && rows.get(key) === content;
}

/**
 * Checks that each acknowledged entry is stored and was passed to the domain step, or is dead-lettered. This holds at any
 * moment; at the end of a run all entries are acknowledged.
 */
export async function checkAcknowledged(run: RunContext): Promise<void> {
  // Redis first: an entry that is acknowledged by then must be in Postgres by then.
  const group = await readGroup(run);
  if (group === undefined) return;
  const rows = await readRows(run);
  const deadLetters = await readDeadLetters(run.servers.redis, run.stream);
  const deadLetterIds = new Set(deadLetters.map(({ cause }) => cause.dlq_entry_id));
  for (const entry of run.sent.entries.values()) {
    const { id, content } = entry;
    const isDelivered = compareEntryIds(id, group.lastDeliveredId) <= 0;
    if (!isDelivered || group.pendingIds.has(id)) continue;
    if (run.sent.removedIds.has(id) || deadLetterIds.has(id)) continue;
    const which = `${id} (${content}) acknowledged`;
    if (!isStored(entry, rows)) run.violate(`${which}, neither stored nor dead-lettered`);
    else if (!run.domainIds.has(id)) run.violate(`${which} before the domain step`);
  }
}

/** Compares what Postgres and the dead letters hold after a run with what was sent. */
export async function checkOutcome(run: RunContext): Promise<void> {
  await checkAcknowledged(run);
  const rows = await readRows(run);
  const stored = [...run.sent.entries.values()].filter((entry) => isStored(entry, rows));
  for (const key of new Set(rows.keys()).difference(new Set(stored.map((entry) => entry.key)))) {
    run.violate(`${key} is stored with content that was not sent`);
  }
  for (const deadLetter of await readDeadLetters(run.servers.redis, run.stream)) {
    checkDeadLetter(run, deadLetter, rows);
  }
}

/** A dead letter has the bytes of its entry and a true reason. */
function checkDeadLetter(run: RunContext, { cause, fields }: DeadLetter, rows: Rows): void {
  const { dlq_entry_id: id, dlq_reason: reason } = cause;
  run.count(`dead letter: ${reason}`);
  const entry = run.sent.entries.get(id);
  if (entry === undefined) return run.violate(`${id} is dead-lettered, but was not sent`);
  const which = `${id} (${entry.content})`;
  if (!Buffer.concat(fields).equals(Buffer.concat(entry.fields))) {
    run.violate(`the dead letter of ${which} has other bytes`);
  }
  // A process may die for another reason while it processes an entry alone.
  const deaths = ['crashed', 'failed', 'pause'].reduce((sum, each) => sum + (run.counts.get(each) ?? 0), 0);
  const domainErrors = [...run.counts]
    .filter(([what]) => what.startsWith('domain step: error'))
    .reduce((sum, [, times]) => sum + times, 0);
  const isTrue =
    reason === 'ended_process'
      ? deaths >= 2
      : reason === 'domain_step_failed'
        ? domainErrors > 4
        : reason === entry.deadLetterReason;
  if (!isTrue) run.violate(`${which} is dead-lettered with a wrong reason: ${reason}`);
  const stored = rows.get(entry.key);
  if (reason === 'same_time' && (stored === undefined || stored === entry.content)) {
    run.violate(`${which} is dead-lettered as a conflict with ${stored ?? 'nothing'}`);
  }
}
