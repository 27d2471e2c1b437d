import { isDeepStrictEqual } from 'node:util';
import { decodeDeadLetter, deadLetterStream } from '@app/processor/stream/dead-letter';
import { encodePosition } from '@app/shared/codec';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import type { SentCounts } from './producer.ts';
import { type Load, type LoadItem, numberAttribute, numberField } from './load.ts';
import { NumberSet } from './number-set.ts';
import { readStreamState } from './stream-state.ts';

export interface Outcome {
  /** Violations of the promise. */
  readonly problems: readonly string[];
  readonly rows: number;
  /** Dead letters by reason. */
  readonly deadLetters: ReadonlyMap<string, number>;
  /** Dead letters beyond the first of their record, which are allowed. */
  readonly repeatedDeadLetters: number;
}

export interface OutcomeInput {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly stream: string;
  readonly load: Load;
  readonly sent: SentCounts;
}

/** Allowed for every record: the soak may kill the process while it processes an entry alone. */
const endedProcess = 'ended_process';
const pageLength = 1000;

/**
 * Compares Redis and Postgres with what was sent: each record is stored exactly once, as it was sent, or dead-lettered with
 * its reason and bytes; nothing else is there, everything was read, and nothing is pending.
 */
export async function checkOutcome(input: OutcomeInput): Promise<Outcome> {
  const findings = new Findings();
  await checkStream(input, findings);
  const stored = await checkRows(input, findings);
  const deadLettered = await checkDeadLetters(input, findings);
  checkRecords(input, stored, deadLettered, findings);
  return {
    problems: findings.problems(),
    rows: stored.size,
    deadLetters: deadLettered.byReason,
    repeatedDeadLetters: deadLettered.repeated,
  };
}

/** Counts violations by kind, with the first five of each. */
class Findings {
  readonly #found = new Map<string, { count: number; readonly examples: string[] }>();

  add(what: string, example: string): void {
    const found = this.#found.get(what) ?? { count: 0, examples: [] };
    this.#found.set(what, found);
    found.count += 1;
    if (found.count <= 5) found.examples.push(example);
  }

  problems(): readonly string[] {
    return Array.from(this.#found, ([what, { count, examples }]) => {
      return `${what} (${count}): ${examples.join('; ')}${count > examples.length ? '; …' : ''}`;
    });
  }
}

async function checkStream({ redis, stream, sent }: OutcomeInput, findings: Findings): Promise<void> {
  const state = await readStreamState(redis, stream);
  if (state.pending !== 0) findings.add('entries are pending', `${state.pending}`);
  if (state.lastDeliveredId !== state.lastGeneratedId) {
    findings.add('entries are unread', `read up to ${state.lastDeliveredId} of ${state.lastGeneratedId}`);
  }
  const least = sent.confirmed + sent.replayed;
  const most = least + sent.unconfirmed + sent.unconfirmedReplays;
  if (state.entriesAdded < least || state.entriesAdded > most) {
    findings.add('wrong number of entries', `${state.entriesAdded} instead of ${least} to ${most}`);
  }
}

async function checkRows({ sql, load, sent }: OutcomeInput, findings: Findings): Promise<NumberSet> {
  const stored = new NumberSet();
  const rows = sql<Row[]>`
    select device_id, (extract(epoch from ts) * 1000)::float8 as fix_at_ms, latitude, longitude, altitude::float8,
           angle::float8, speed::float8, satellites, priority, codec, attributes, quality, faulty, is_past_limit
    from (select *, false as is_past_limit from positions
          union all select *, true from positions_past_limit) as stored`;
  for await (const page of rows.cursor(pageLength)) {
    for (const row of page) {
      const n = Number(row.attributes[numberAttribute]);
      const item = isSent(n, sent) ? load.item(n) : undefined;
      const which = `${row.device_id} at ${new Date(row.fix_at_ms).toISOString()}`;
      if (item?.record === undefined) findings.add('rows that were not sent', which);
      else if (!isDeepStrictEqual({ ...row }, rowOf(item)))
        findings.add('rows that differ from what was sent', which);
      else if (!stored.add(n)) findings.add('records stored more than once', `${n}`);
    }
  }
  return stored;
}

interface Row {
  readonly device_id: string;
  readonly fix_at_ms: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude: number;
  readonly angle: number;
  readonly speed: number;
  readonly satellites: number;
  readonly priority: number;
  readonly codec: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly quality: number;
  readonly faulty: boolean;
  readonly is_past_limit: boolean;
}

function rowOf({ kind, record }: LoadItem): Row | undefined {
  if (record === undefined) return undefined;
  const { position, codec } = record;
  return {
    device_id: position.deviceId,
    fix_at_ms: position.fixAtMs,
    latitude: position.latitude,
    longitude: position.longitude,
    altitude: position.altitudeM,
    angle: position.courseDeg,
    speed: position.speedKmh,
    satellites: position.satellites,
    priority: position.priority,
    codec,
    attributes: JSON.parse(encodePosition(position)).attributes,
    quality: 0,
    faulty: false,
    is_past_limit: kind === 'old',
  };
}

interface DeadLettered {
  /** Dead-lettered with the reason of their kind. */
  readonly numbers: NumberSet;
  readonly endedProcess: NumberSet;
  readonly byReason: Map<string, number>;
  repeated: number;
}

async function checkDeadLetters(
  { redis, stream, load, sent }: OutcomeInput,
  findings: Findings,
): Promise<DeadLettered> {
  const deadLettered: DeadLettered = {
    numbers: new NumberSet(),
    endedProcess: new NumberSet(),
    byReason: new Map(),
    repeated: 0,
  };
  for (let from = '-'; ;) {
    const page = await redis.xrangeBuffer(deadLetterStream(stream), from, '+', 'COUNT', pageLength);
    for (const [idBytes, fields] of page) {
      const id = idBytes.toString();
      const deadLetter = decodeDeadLetter(id, fields);
      const n = numberOf(deadLetter?.fields ?? []);
      if (deadLetter === undefined || !isSent(n, sent)) {
        findings.add('dead letters of entries that were not sent', id);
        continue;
      }
      const { dlq_reason: reason } = deadLetter.cause;
      const item = load.item(n);
      deadLettered.byReason.set(reason, (deadLettered.byReason.get(reason) ?? 0) + 1);
      if (reason !== item.reason && reason !== endedProcess) {
        findings.add(
          'dead letters with a wrong reason',
          `${n} (${item.kind}): ${reason} instead of ${item.reason ?? 'none'}`,
        );
      } else if (!haveSameBytes(deadLetter.fields, item.fields)) {
        findings.add('dead letters with other bytes than were sent', `${n} (${item.kind}) in ${id}`);
      } else if (!(reason === endedProcess ? deadLettered.endedProcess : deadLettered.numbers).add(n)) {
        deadLettered.repeated += 1;
      }
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageLength) return deadLettered;
    from = `(${last[0].toString()}`;
  }
}

function checkRecords(
  { load, sent }: OutcomeInput,
  stored: NumberSet,
  deadLettered: DeadLettered,
  findings: Findings,
): void {
  for (let n = 0; n < sent.records; n += 1) {
    const isStored = stored.has(n);
    const isDeadLettered = deadLettered.numbers.has(n);
    if (!isStored && !isDeadLettered && !deadLettered.endedProcess.has(n)) {
      findings.add('records neither stored nor dead-lettered', `${n} (${load.item(n).kind})`);
    }
    if (isStored && isDeadLettered)
      findings.add('records both stored and dead-lettered', `${n} (${load.item(n).kind})`);
    // Of two conflicting records the one inserted first is stored: either of them.
    if (isStored && stored.has(n + 1) && load.hasConflict(n)) {
      findings.add('conflicting records that are both stored', `${n} and ${n + 1}`);
    }
  }
}

function isSent(n: number, { records }: SentCounts): boolean {
  return Number.isInteger(n) && n >= 0 && n < records;
}

function numberOf(fields: readonly Buffer[]): number {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at]?.toString() === numberField) return Number(fields[at + 1]?.toString());
  }
  return Number.NaN;
}

function haveSameBytes(found: readonly Buffer[], sent: readonly (string | Buffer)[]): boolean {
  return (
    found.length === sent.length && found.every((bytes, at) => bytes.equals(Buffer.from(sent[at] ?? '')))
  );
}
