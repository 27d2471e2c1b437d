import type { Redis } from 'ioredis';
import { describeAge, printable, table } from './printable.ts';
import { reasonOf, type Selection, selectLetters, type StoredLetter } from './select-letters.ts';

/** The letters of one reason and SQLSTATE. */
interface ReasonCount {
  readonly reason: string;
  /** Empty where Postgres was not what refused it. */
  readonly sqlState: string;
  readonly letters: number;
  readonly oldestAt: string;
  readonly newestAt: string;
}

/** A letter without what it holds: no position, and no detail, which may speak of one. */
interface LetterLine {
  readonly id: string;
  readonly parkedAt: string;
  readonly reason: string;
  readonly sqlState: string;
  readonly entryId: string;
  readonly deliveries: number;
}

export interface ListedStream {
  readonly stream: string;
  readonly letters: number;
  readonly reasons: readonly ReasonCount[];
  /** The oldest of them, where each was asked for. */
  readonly each?: readonly LetterLine[];
}

/** Counts a stream's letters by reason; `each` says of how many to tell one by one. */
export async function listLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
  each: number | undefined,
): Promise<ListedStream> {
  const counts = new Map<string, ReasonCount>();
  const lines: LetterLine[] = [];
  let letters = 0;
  for await (const stored of selectLetters(redis, stream, selection)) {
    letters += 1;
    const line = describe(stored);
    const key = `${line.reason} ${line.sqlState}`;
    const { reason, sqlState, parkedAt } = line;
    const known = counts.get(key) ?? { reason, sqlState, letters: 0, oldestAt: parkedAt, newestAt: parkedAt };
    counts.set(key, { ...known, letters: known.letters + 1, newestAt: parkedAt });
    if (lines.length < (each ?? 0)) lines.push(line);
  }
  const reasons = [...counts.values()].toSorted((a, b) => b.letters - a.letters);
  return { stream, letters, reasons, ...(each !== undefined && { each: lines }) };
}

export function printList({ stream, letters, reasons, each }: ListedStream, nowMs: number): string {
  const age = (at: string): string => describeAge(nowMs - Date.parse(at));
  const title = `${printable(stream)}: ${letters === 0 ? 'no' : letters} dead letter${letters === 1 ? '' : 's'}`;
  if (letters === 0) return title;
  if (each === undefined) {
    const rows = reasons.map((count) => [
      printable(count.reason),
      printable(count.sqlState),
      String(count.letters),
      age(count.oldestAt),
      age(count.newestAt),
    ]);
    const head = ['REASON', 'SQLSTATE', 'LETTERS', 'OLDEST', 'NEWEST'];
    return `${title}\n${table([head, ...rows], new Set([2, 3, 4]))}`;
  }
  const rows = each.map((line) => [
    line.id,
    age(line.parkedAt),
    printable(line.reason),
    printable(line.sqlState),
    String(line.deliveries),
    printable(line.entryId),
  ]);
  const head = ['ID', 'AGE', 'REASON', 'SQLSTATE', 'DELIVERIES', 'ENTRY'];
  const rest = each.length < letters ? `\n  … the oldest ${each.length} of them; --limit shows more` : '';
  return `${title}\n${table([head, ...rows], new Set([1, 4]))}${rest}`;
}

function describe(stored: StoredLetter): LetterLine {
  const { id, parkedAtMs, letter } = stored;
  return {
    id,
    parkedAt: new Date(parkedAtMs).toISOString(),
    reason: reasonOf(stored),
    sqlState: letter?.cause.dlq_sqlstate ?? '',
    entryId: letter?.cause.dlq_entry_id ?? '',
    deliveries: Number(letter?.cause.dlq_deliveries ?? 0),
  };
}
