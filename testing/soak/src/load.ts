import { createRandom } from '@app/fleet-sim/random';
import { corrupt } from '@app/fleet-sim/corrupt-record';
import { record } from '@app/processor/testing/telemetry';
import { encodeFields, type TelemetryRecord } from '@app/shared/entry';

/**
 * What becomes of a record: `good` ones are stored; of a `rival` and the good one before it, with the same device and
 * time and other content, one is stored and one is parked; all others are parked.
 */
export type Kind = 'good' | 'rival' | 'garbage' | 'refused' | 'future';

export interface LoadItem {
  readonly n: number;
  readonly kind: Kind;
  /** Undefined for garbage, which is none. */
  readonly record: TelemetryRecord | undefined;
  /** For XADD: name, value, name, value, … */
  readonly fields: readonly (string | Buffer)[];
  /** The reason for which it may be parked; undefined where it must not be. */
  readonly reason: string | undefined;
}

/** The attribute that carries a record's number into the table, and the field that carries it into a dead letter. */
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

/**
 * An endless load of which any part can be told from the seed and a number alone: so the ledger is a count, and what
 * is found at the end can be compared to the byte with what was sent.
 */
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

  /** Whether it has a rival: the next number. */
  hasRival(n: number): boolean {
    return this.#kind(n) === 'good' && this.#kind(n + 1) === 'rival';
  }

  /** How much later a record is sent than its turn, in records; 0 for most. */
  heldBack(n: number): number {
    return this.#sometimes(n, 2, 0.02);
  }

  /** How much later it is sent once more; 0 for most. */
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
    if (share < 0.018) return n > 0 && this.#kind(n - 1) === 'good' ? 'rival' : 'good';
    return 'good';
  }

  #record(n: number, kind: Kind): TelemetryRecord {
    const attributes = { [numberAttribute]: n, 239: 1, 78: 18_446_744_073_709_551_615n };
    if (kind === 'refused')
      return record({ deviceId: `refused-${n % 2}`, fixAtMs: firstFixAtMs + n * 1000, attributes });
    if (kind === 'future') return record({ deviceId: 'future', fixAtMs: farFutureMs + n * 1000, attributes });
    const place = kind === 'rival' ? n - 1 : n;
    return record({
      deviceId: `35000000000${1000 + (place % devices)}`,
      fixAtMs: firstFixAtMs + Math.floor(place / devices) * 1000,
      latitude: 46 + (n % 1000) / 1024,
      priority: kind === 'rival' ? 2 : 0,
      attributes,
    });
  }

  #reason(n: number, kind: Kind, spoiled: string | undefined): string | undefined {
    if (kind === 'refused') return 'row_refused';
    if (kind === 'future') return 'future_limit';
    return kind === 'rival' || this.hasRival(n) ? 'same_time' : spoiled;
  }
}

/** The numbers in the order in which they are sent: some late, some once more. */
export class SendingOrder {
  readonly #load: Load;
  /** What is to be sent after so many turns; nothing waits for longer than a thousand. */
  readonly #later = new Map<number, number[]>();
  readonly #ready: number[] = [];
  #begun = 0;

  constructor(load: Load) {
    this.#load = load;
  }

  /** All numbers below were sent, or are still held back. */
  get begun(): number {
    return this.#begun;
  }

  next(): number {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      const n = this.#begun;
      this.#begun += 1;
      const heldBack = this.#load.heldBack(n);
      const repeatedAfter = this.#load.repeatedAfter(n);
      if (heldBack === 0) this.#ready.push(n);
      else this.#postpone(n, heldBack);
      if (repeatedAfter > 0) this.#postpone(n, repeatedAfter);
      this.#ready.push(...(this.#later.get(n) ?? []));
      this.#later.delete(n);
    }
  }

  /** What was begun and is still to be sent; afterwards nothing is held back. */
  rest(): readonly number[] {
    const rest = [...this.#ready, ...[...this.#later.values()].flat()];
    this.#later.clear();
    this.#ready.length = 0;
    return rest;
  }

  #postpone(n: number, turns: number): void {
    const due = this.#later.get(n + turns) ?? [];
    due.push(n);
    this.#later.set(n + turns, due);
  }
}
