import { createRandom } from '@app/fleet-sim/random';
import { corrupt } from '@app/fleet-sim/corrupt-record';
import { record } from '@app/processor/testing/telemetry';
import { encodeFields, type TelemetryRecord } from '@app/shared/entry';

/**
 * `good` records are stored, `old` ones, whose fix time is past the limit, in `positions_past_limit`. Of a `conflict` and the good record before it, which have the same device and time and
 * different content, one is stored and one dead-lettered. All others are dead-lettered.
 */
export type Kind = 'good' | 'old' | 'conflict' | 'garbage' | 'refused' | 'future';

export interface LoadItem {
  readonly n: number;
  readonly kind: Kind;
  /** Undefined for garbage. */
  readonly record: TelemetryRecord | undefined;
  /** For XADD: name, value, name, value, … */
  readonly fields: readonly (string | Buffer)[];
  /** The reason for which it may be dead-lettered; undefined if it must be stored. */
  readonly reason: string | undefined;
}

/** The attribute with a record's number, for rows, and the field with it, for dead letters. */
export const numberAttribute = '16';
export const numberField = 'n';

/** Devices whose rows Postgres refuses, with the SQLSTATE. */
export const refusedDevices: Readonly<Record<string, string>> = {
  'refused-0': '23514',
  'refused-1': '22003',
};

const devices = 500;
const firstFixAtMs = Date.UTC(2026, 5, 1);
const farFutureMs = Date.UTC(2090, 0, 1);
/** Later than 2010, so without a quality flag. */
const longAgoMs = Date.UTC(2012, 0, 1);
const dayMs = 86_400_000;

/** An endless load: each record is computed from the seed and its number, so nothing has to be kept for the comparison. */
export class Load {
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  item(n: number): LoadItem {
    const kind = this.#kind(n);
    const good = this.#record(n, kind);
    const bad = kind === 'garbage' ? corrupt(good, n) : undefined;
    const fields = [...(bad?.fields ?? encodeFields(good)), numberField, String(n)];
    return {
      n,
      kind,
      record: bad === undefined ? good : undefined,
      fields,
      reason: this.#reason(n, kind, bad?.reason),
    };
  }

  /** Whether the next record conflicts with this one. */
  hasConflict(n: number): boolean {
    return this.#kind(n) === 'good' && this.#kind(n + 1) === 'conflict';
  }

  /** By how many records it is sent later than in order; 0 for most. */
  heldBack(n: number): number {
    return this.#sometimes(n, 2, 0.02);
  }

  /** After how many records it is sent a second time; 0 for most, which are not. */
  repeatedAfter(n: number): number {
    return this.#sometimes(n, 3, 0.02);
  }

  #sometimes(n: number, purpose: number, chance: number): number {
    const random = createRandom(this.#seed, purpose, n);
    return random() < chance ? 1 + Math.floor(random() * 1000) : 0;
  }

  #kind(n: number): Kind {
    const share = createRandom(this.#seed, 1, n)();
    if (share < 0.006) return 'garbage';
    if (share < 0.009) return 'refused';
    if (share < 0.012) return 'future';
    if (share < 0.018) return n > 0 && this.#kind(n - 1) === 'good' ? 'conflict' : 'good';
    return share < 0.997 ? 'good' : 'old';
  }

  #record(n: number, kind: Kind): TelemetryRecord {
    const attributes = { [numberAttribute]: n, 239: 1, 78: 18_446_744_073_709_551_615n };
    if (kind === 'refused')
      return record({ deviceId: `refused-${n % 2}`, fixAtMs: firstFixAtMs + n * 1000, attributes });
    if (kind === 'future') return record({ deviceId: 'future', fixAtMs: farFutureMs + n * 1000, attributes });
    // Each on a day of its own, of some 1,000.
    if (kind === 'old')
      return record({ deviceId: 'old', fixAtMs: longAgoMs + (n % 1000) * dayMs + n, attributes });
    const keyNumber = kind === 'conflict' ? n - 1 : n;
    return record({
      deviceId: `35000000000${1000 + (keyNumber % devices)}`,
      fixAtMs: firstFixAtMs + Math.floor(keyNumber / devices) * 1000,
      latitude: 46 + (n % 1000) / 1024,
      priority: kind === 'conflict' ? 2 : 0,
      attributes,
    });
  }

  #reason(n: number, kind: Kind, badReason: string | undefined): string | undefined {
    if (kind === 'refused') return 'row_refused';
    if (kind === 'future') return 'future_limit';
    return kind === 'conflict' || this.hasConflict(n) ? 'same_time' : badReason;
  }
}

/** Record numbers in sending order: some late, some twice. */
export class SendingOrder {
  readonly #load: Load;
  /** Numbers by the number after which they are sent. */
  readonly #later = new Map<number, number[]>();
  readonly #ready: number[] = [];
  #started = 0;

  constructor(load: Load) {
    this.#load = load;
  }

  /** All numbers below this were sent or are held back. */
  get started(): number {
    return this.#started;
  }

  next(): number {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      const n = this.#started;
      this.#started += 1;
      const heldBack = this.#load.heldBack(n);
      const repeatedAfter = this.#load.repeatedAfter(n);
      if (heldBack === 0) this.#ready.push(n);
      else this.#postpone(n, heldBack);
      if (repeatedAfter > 0) this.#postpone(n, repeatedAfter);
      this.#ready.push(...(this.#later.get(n) ?? []));
      this.#later.delete(n);
    }
  }

  /** Removes and returns the numbers that are held back. */
  rest(): readonly number[] {
    const rest = [...this.#ready, ...[...this.#later.values()].flat()];
    this.#later.clear();
    this.#ready.length = 0;
    return rest;
  }

  #postpone(n: number, records: number): void {
    const due = this.#later.get(n + records) ?? [];
    due.push(n);
    this.#later.set(n + records, due);
  }
}
