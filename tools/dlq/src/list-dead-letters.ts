import type { Redis } from 'ioredis';
import { describeAge, printable, table } from './printable.ts';
import { type Selection, selectDeadLetters, summarise, type Summary } from './select-dead-letters.ts';

/** The dead letters of one reason and SQLSTATE. */
interface ReasonCount {
  readonly reason: string;
  readonly sqlState: string;
  readonly letters: number;
  readonly oldestAt: string;
  readonly newestAt: string;
}

export interface ListedStream {
  readonly stream: string;
  readonly letters: number;
  readonly reasons: readonly ReasonCount[];
  /** The oldest dead letters, up to the limit; undefined without one. */
  readonly each?: readonly Summary[];
}

/** Counts a stream's dead letters by reason, and lists up to `eachLimit` of them. */
export async function listDeadLetters(
  redis: Redis,
  stream: string,
  selection: Selection,
  eachLimit: number | undefined,
): Promise<ListedStream> {
  const counts = new Map<string, ReasonCount>();
  const each: Summary[] = [];
  let letters = 0;
  for await (const stored of selectDeadLetters(redis, stream, selection)) {
    letters += 1;
    const summary = summarise(stored);
    const { reason, sqlState, deadLetteredAt } = summary;
    const key = `${reason} ${sqlState}`;
    const known = counts.get(key) ?? { reason, sqlState, letters: 0, oldestAt: deadLetteredAt };
    counts.set(key, { ...known, letters: known.letters + 1, newestAt: deadLetteredAt });
    if (each.length < (eachLimit ?? 0)) each.push(summary);
  }
  const reasons = [...counts.values()].toSorted((a, b) => b.letters - a.letters);
  return { stream, letters, reasons, ...(eachLimit !== undefined && { each }) };
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
    const head = ['REASON', 'SQLSTATE', 'COUNT', 'OLDEST', 'NEWEST'];
    return `${title}\n${table([head, ...rows], new Set([2, 3, 4]))}`;
  }
  const rows = each.map((summary) => [
    summary.id,
    age(summary.deadLetteredAt),
    printable(summary.reason),
    printable(summary.sqlState),
    String(summary.deliveries),
    printable(summary.entryId),
  ]);
  const head = ['ID', 'AGE', 'REASON', 'SQLSTATE', 'DELIVERIES', 'ENTRY'];
  const rest = each.length < letters ? `\n  … the oldest ${each.length} of them; --limit shows more` : '';
  return `${title}\n${table([head, ...rows], new Set([1, 4]))}${rest}`;
}
