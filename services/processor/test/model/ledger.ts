import { compareEntryIds, encodeFields } from '@app/shared/entry';
import type { Position } from '@app/shared/position';

/** What a record is like, drawn at random; small numbers, so that the same record comes often. */
export interface Draft {
  /** `killer`: a process that tries to store it dies. */
  readonly kind: 'fix' | 'blind' | 'future' | 'refused' | 'garbage' | 'killer';
  readonly device: number;
  /** Fix time, in seconds after the beginning. */
  readonly second: number;
  /** Two records of one device and second with different variants differ in content. */
  readonly variant: number;
}

/** One entry that was sent, and what must come of it. */
export interface SentEntry {
  readonly id: string;
  readonly fields: readonly Buffer[];
  readonly deviceId: string;
  readonly fixAtMs: number;
  /** Two entries with the same content are the same record. */
  readonly content: string;
  /** With the row of its key it is stored; without, it must be in the dead letters for one of `reasons`. */
  readonly isStorable: boolean;
  readonly isGood: boolean;
  /** Why it may be in the dead letters. */
  readonly reasons: readonly string[];
}

const refusingStates = ['22003', '23502', '23503', '23514'];

/** Entries trimmed unread, in one go. */
export interface Loss {
  readonly entries: number;
  readonly lastId: string;
  /** A processor has received an answer that shows it. */
  isShown: boolean;
}

/** All that was sent in one run, and what was taken out of the stream again. */
export class Ledger {
  readonly #run: string;
  readonly #beginMs: number;
  readonly #sent = new Map<string, SentEntry>();
  #lastId = { ms: 0, seq: 0 };
  /** Trimmed or deleted from the stream. */
  readonly removed = new Set<string>();
  /** Trims that took entries which no consumer had been given. */
  readonly losses: Loss[] = [];

  constructor(run: string, beginMs: number) {
    this.#run = run;
    this.#beginMs = beginMs;
  }

  get sent(): ReadonlyMap<string, SentEntry> {
    return this.#sent;
  }

  get deviceIds(): readonly string[] {
    return [0, 1, 2, 3].map((device) => this.#deviceId(device));
  }

  /** Notes an entry before it is added: the processor may be faster than the answer. */
  write(draft: Draft): SentEntry {
    const { kind, device, second, variant } = draft;
    const ms = Math.max(Date.now(), this.#lastId.ms);
    this.#lastId = { ms, seq: ms === this.#lastId.ms ? this.#lastId.seq + 1 : 0 };
    const deviceId = this.#deviceId(device);
    // Two days: beyond FUTURE_LIMIT_MS.
    const fixAtMs = this.#beginMs + second * 1000 + (kind === 'future' ? 2 * 86_400_000 : 0);
    const content = `${device}:${second}:${variant}:${kind}`;
    const refusal = kind === 'refused' ? { refuse: refusingStates[variant % 4] ?? '' } : {};
    const position: Position = {
      deviceId,
      fixAtMs,
      latitude: 47 + second / 1000,
      longitude: 11 + device / 1000,
      altitudeM: 500,
      courseDeg: 90,
      speedKmh: 60,
      satellites: kind === 'blind' ? 0 : 9,
      priority: 0,
      attributes: { content, ...refusal },
    };
    const good = encodeFields({ position, codec: '8E' });
    const garbage = spoil(good, variant);
    const entry: SentEntry = {
      id: `${this.#lastId.ms}-${this.#lastId.seq}`,
      fields: (kind === 'garbage' ? garbage.fields : good).map((field) => Buffer.from(field)),
      deviceId,
      fixAtMs,
      content,
      isStorable: kind === 'fix' || kind === 'blind',
      isGood: kind === 'fix',
      reasons: reasonsOf(kind, garbage.reason),
    };
    this.#sent.set(entry.id, entry);
    return entry;
  }

  /** Notes entries taken out of the stream; `lastDeliveredId` is how far the group had read then. */
  remove(ids: readonly string[], lastDeliveredId: string | undefined, isTrim: boolean): void {
    for (const id of ids) this.removed.add(id);
    const unread = ids.filter(
      (id) => lastDeliveredId === undefined || compareEntryIds(id, lastDeliveredId) > 0,
    );
    const lastId = unread.at(-1);
    if (isTrim && lastId !== undefined) this.losses.push({ entries: unread.length, lastId, isShown: false });
  }

  /** A processor has learned where the group stood, after the first `before` losses. */
  noteShown(before: number, lastDeliveredId: string): void {
    for (const loss of this.losses.slice(0, before)) {
      if (compareEntryIds(lastDeliveredId, loss.lastId) < 0) loss.isShown = true;
    }
  }

  #deviceId(device: number): string {
    return `${this.#run}-${device}`;
  }
}

/** `same_time` for any that is decoded: another record may have taken its key. */
function reasonsOf(kind: Draft['kind'], garbageReason: string): readonly string[] {
  switch (kind) {
    case 'garbage':
      return [garbageReason];
    case 'future':
      return ['future_limit'];
    case 'killer':
      return ['ended_process', 'same_time'];
    case 'refused':
      return ['row_refused', 'same_time'];
    default:
      return ['same_time'];
  }
}

function spoil(
  good: readonly string[],
  variant: number,
): { readonly reason: string; readonly fields: readonly (string | Buffer)[] } {
  const withoutPayload = good.slice(0, -1);
  switch (variant % 4) {
    case 0:
      return { reason: 'not_json', fields: [...withoutPayload, good.at(-1)?.slice(0, 40) ?? ''] };
    case 1:
      return { reason: 'not_utf8', fields: [...withoutPayload, Buffer.from([0x7b, 0xc3, 0x28, 0x7d])] };
    case 2:
      return { reason: 'missing_field', fields: good.slice(0, -2) };
    default:
      return { reason: 'bad_codec', fields: good.map((field) => (field === '8E' ? '9' : field)) };
  }
}
