import type { Rejected } from '../fix.ts';

/** Fields appended to the original ones, in this order. */
const causeNames = [
  'dlq_reason',
  'dlq_detail',
  'dlq_sqlstate',
  'dlq_entry_id',
  'dlq_deliveries',
  'dlq_consumer',
  'dlq_at',
] as const;

export type Cause = Readonly<Record<(typeof causeNames)[number], string>>;

/** An entry that could not be stored, and the cause. */
export interface DeadLetter {
  /** Its id in the dead-letter stream. */
  readonly id: string;
  /** The original fields, byte for byte: name, value, name, value, … */
  readonly fields: readonly Buffer[];
  readonly cause: Cause;
}

/** Name of the dead-letter stream of a telemetry stream. */
export function deadLetterStream(stream: string): string {
  return `${stream}:dlq`;
}

/** The fields of a dead letter, for XADD. */
export function encodeDeadLetter(rejected: Rejected, consumer: string, at: string): (Buffer | string)[] {
  const { entry, reason, detail, sqlState } = rejected;
  const cause: Cause = {
    dlq_reason: reason,
    dlq_detail: detail,
    dlq_sqlstate: sqlState ?? '',
    dlq_entry_id: entry.id,
    dlq_deliveries: String(entry.deliveries),
    dlq_consumer: consumer,
    dlq_at: at,
  };
  return [...entry.fields, ...causeNames.flatMap((name) => [name, cause[name]])];
}

/**
 * Decodes what `encodeDeadLetter` wrote; undefined for any other entry. Only the last fields are the cause: an entry may
 * have been sent with fields of the same names.
 */
export function decodeDeadLetter(id: string, fields: readonly Buffer[]): DeadLetter | undefined {
  const causeAt = fields.length - 2 * causeNames.length;
  if (causeAt < 0) return undefined;
  const causeFields = fields.slice(causeAt).map(String);
  if (causeNames.some((name, n) => causeFields[2 * n] !== name)) return undefined;
  const value = (name: (typeof causeNames)[number]): string =>
    causeFields[2 * causeNames.indexOf(name) + 1] ?? '';
  return {
    id,
    fields: fields.slice(0, causeAt),
    cause: {
      dlq_reason: value('dlq_reason'),
      dlq_detail: value('dlq_detail'),
      dlq_sqlstate: value('dlq_sqlstate'),
      dlq_entry_id: value('dlq_entry_id'),
      dlq_deliveries: value('dlq_deliveries'),
      dlq_consumer: value('dlq_consumer'),
      dlq_at: value('dlq_at'),
    },
  };
}
