import { encodeFields } from '@app/shared/entry';
import { record } from '../support/telemetry.ts';
import type { Draft } from './plan.ts';

/** Postgres refuses the rows of the device `refused-<SQLSTATE>`. */
export const refusingStates = ['22003', '23502', '23503', '23514'];
/** A process that sends a row of this device to Postgres dies. */
export const fatalDevice = 'fatal-device';

export interface SentEntry {
  readonly id: string;
  readonly fields: readonly Buffer[];
  /** Device and fix time: the key of its row. */
  readonly key: string;
  /** Equal for entries that hold the same record. */
  readonly content: string;
  readonly isStorable: boolean;
  /** The reason for which it may be dead-lettered. */
  readonly deadLetterReason: string;
}

const reasons: Readonly<Partial<Record<Draft['kind'], string>>> = {
  future: 'future_limit',
  undecodable: 'not_json',
  refused: 'row_refused',
  fatal: 'ended_process',
};

/** All entries of one run, in stream order, and those taken out of the stream again. */
export class SentLog {
  readonly #run: string;
  readonly #startMs = Date.now() - 3_600_000;
  #lastId = { ms: 0, seq: 0 };
  readonly entries = new Map<string, SentEntry>();
  /** Ids of entries that were trimmed or deleted. */
  readonly removedIds = new Set<string>();

  constructor(run: string) {
    this.#run = run;
  }

  get deviceIds(): readonly string[] {
    return [0, 1, 2].map((device) => `${this.#run}-${device}`);
  }

  /** Adds an entry. Its id is chosen here, since Redis may give an id again after the stream was deleted. */
  add({ kind, device, second, variant }: Draft): SentEntry {
    const ms = Math.max(Date.now(), this.#lastId.ms);
    this.#lastId = { ms, seq: ms === this.#lastId.ms ? this.#lastId.seq + 1 : 0 };
    const id = `${ms}-${this.#lastId.seq}`;
    const refused = kind === 'refused' && `refused-${refusingStates[variant]}`;
    const deviceId = refused || (kind === 'fatal' && fatalDevice) || `${this.#run}-${device}`;
    const fixAtMs = this.#startMs + second * 1000 + (kind === 'future' ? 2 * 86_400_000 : 0);
    const content = `${device}:${second}:${variant}:${kind}`;
    const satellites = kind === 'flagged' ? 0 : 9;
    const fields = encodeFields(record({ deviceId, fixAtMs, satellites, attributes: { content } }));
    const payload = fields.at(-1) ?? '';
    const sent = kind === 'undecodable' ? [...fields.slice(0, -1), payload.slice(0, 40)] : fields;
    const entry = {
      id,
      fields: sent.map((field) => Buffer.from(field)),
      key: keyOf(deviceId, fixAtMs),
      content,
      isStorable: kind === 'good' || kind === 'flagged',
      deadLetterReason: reasons[kind] ?? 'same_time',
    };
    this.entries.set(id, entry);
    return entry;
  }
}

export function keyOf(deviceId: string, fixAtMs: number): string {
  return `${deviceId}@${fixAtMs}`;
}
