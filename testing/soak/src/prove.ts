import { isDeepStrictEqual } from 'node:util';
import { decodeDeadLetter, deadLetterStream } from '@app/processor/stream/dead-letter';
import { encodePosition } from '@app/shared/codec';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';
import type { FedCounts } from './feed.ts';
import { type Load, type LoadItem, numberAttribute, numberField } from './load.ts';
import { NumberSet } from './number-set.ts';
import { readPlace } from './stream-place.ts';

export interface Proof {
  /** What is not as it was promised, a sentence each; none if all is. */
  readonly problems: readonly string[];
  readonly rows: number;
  /** Letters by reason. */
  readonly letters: ReadonlyMap<string, number>;
  /** Letters beyond the first of their record: twice is better than never. */
  readonly repeatedLetters: number;
}

export interface Evidence {
  readonly redis: Redis;
  readonly sql: Sql;
  readonly stream: string;
  readonly load: Load;
  readonly fed: FedCounts;
}

/** The process died more than once while it tried the entry alone: here by the soak's own hand, so any may be hit. */
const endedProcess = 'ended_process';
const pageLength = 1000;

/**
 * Holds what Redis and Postgres have against what was sent: each record is a row exactly once, as it was sent, or a
 * dead letter with its reason and its bytes; there is nothing else, all was read, and nothing is pending.
 */
export async function prove(evidence: Evidence): Promise<Proof> {
  const findings = new Findings();
  await checkStream(evidence, findings);
  const stored = await checkRows(evidence, findings);
  const parked = await checkLetters(evidence, findings);
  checkRecords(evidence, stored, parked, findings);
  return {
    problems: findings.problems(),
    rows: stored.size,
    letters: parked.byReason,
    repeatedLetters: parked.repeated,
  };
}

/** What is wrong, counted by kind with the first few of each: a whole list of a hundred thousand helps nobody. */
class Findings {
  readonly #found = new Map<string, string[]>();
  readonly #counts = new Map<string, number>();

  add(what: string, which: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    const some = this.#found.get(what) ?? [];
    if (some.length < 5) some.push(which);
    this.#found.set(what, some);
  }

  problems(): readonly string[] {
    return [...this.#found].map(([what, some]) => {
      const count = this.#counts.get(what) ?? 0;
      return `${what} (${count}): ${some.join('; ')}${count > some.length ? '; …' : ''}`;
    });
  }
}

async function checkStream({ redis, stream, fed }: Evidence, findings: Findings): Promise<void> {
  const place = await readPlace(redis, stream);
  if (place.pending !== 0) findings.add('entries are still pending', `${place.pending} of them`);
  if (place.lastDeliveredId !== place.lastGeneratedId) {
    findings.add('not all was read', `up to ${place.lastDeliveredId} of ${place.lastGeneratedId}`);
  }
  const certain = fed.answered + fed.replayed;
  const uncertain = fed.unanswered + fed.perhapsReplayed;
  if (place.entriesAdded < certain || place.entriesAdded > certain + uncertain) {
    const ledger = `${certain} and up to ${uncertain} more`;
    findings.add(
      'the stream does not agree with the ledger',
      `${place.entriesAdded} added instead of ${ledger}`,
    );
  }
}

async function checkRows({ sql, load, fed }: Evidence, findings: Findings): Promise<NumberSet> {
  const stored = new NumberSet();
  const rows = sql<Row[]>`
    select device_id, (extract(epoch from ts) * 1000)::float8 as fix_at_ms, latitude, longitude, altitude::float8,
           angle::float8, speed::float8, satellites, priority, codec, attributes, quality, faulty
    from positions`;
  for await (const page of rows.cursor(pageLength)) {
    for (const row of page) {
      const n = Number(row.attributes[numberAttribute]);
      const item = isSent(n, fed) ? load.item(n) : undefined;
      const which = `${row.device_id} at ${new Date(row.fix_at_ms).toISOString()}`;
      if (item?.record === undefined) findings.add('rows that nobody sent', which);
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
}

function rowOf({ record }: LoadItem): Row | undefined {
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
  };
}

interface Parked {
  /** With the reason that their kind has. */
  readonly numbers: NumberSet;
  readonly endedProcess: NumberSet;
  readonly byReason: Map<string, number>;
  repeated: number;
}

async function checkLetters({ redis, stream, load, fed }: Evidence, findings: Findings): Promise<Parked> {
  const parked: Parked = {
    numbers: new NumberSet(),
    endedProcess: new NumberSet(),
    byReason: new Map(),
    repeated: 0,
  };
  for (let from = '-'; ;) {
    const page = await redis.xrangeBuffer(deadLetterStream(stream), from, '+', 'COUNT', pageLength);
    for (const [idBytes, fields] of page) {
      const id = idBytes.toString();
      const letter = decodeDeadLetter(id, fields);
      const n = numberOf(letter?.fields ?? []);
      if (letter === undefined || !isSent(n, fed)) {
        findings.add('dead letters of what nobody sent', id);
        continue;
      }
      const { dlq_reason: reason } = letter.cause;
      const item = load.item(n);
      parked.byReason.set(reason, (parked.byReason.get(reason) ?? 0) + 1);
      if (reason !== item.reason && reason !== endedProcess) {
        findings.add(
          'dead letters with a wrong reason',
          `${n} (${item.kind}): ${reason} instead of ${item.reason ?? 'none'}`,
        );
      } else if (!haveSameBytes(letter.fields, item.fields)) {
        findings.add('dead letters with other bytes than were sent', `${n} (${item.kind}) in ${id}`);
      } else if (!(reason === endedProcess ? parked.endedProcess : parked.numbers).add(n)) {
        parked.repeated += 1;
      }
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageLength) return parked;
    from = `(${last[0].toString()}`;
  }
}

/** Each record that was sent, one after the other. */
function checkRecords({ load, fed }: Evidence, stored: NumberSet, parked: Parked, findings: Findings): void {
  for (let n = 0; n < fed.records; n += 1) {
    const isStored = stored.has(n);
    const isParked = parked.numbers.has(n);
    if (!isStored && !isParked && !parked.endedProcess.has(n)) {
      findings.add('records neither stored nor parked', `${n} (${load.item(n).kind})`);
    }
    if (isStored && isParked) findings.add('records both stored and parked', `${n} (${load.item(n).kind})`);
    // Of two rivals the one that came first is stored: that may be either.
    if (isStored && stored.has(n + 1) && load.hasRival(n)) {
      findings.add('rivals of which both are stored', `${n} and ${n + 1}`);
    }
  }
}

function isSent(n: number, { records }: FedCounts): boolean {
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
