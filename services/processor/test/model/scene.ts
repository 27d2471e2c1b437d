import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type postgres from 'postgres';
import type { Fix } from '../../src/pipeline/decode-entries.ts';
import type { StateTransition } from '../../src/state/device-states.ts';
import { Faults } from './faults.ts';
import { Ledger, type SentEntry } from './ledger.ts';
import { gatherEvidence, keyOf, type Evidence } from './witness.ts';

/** Longer than most pauses of a retry. */
const quietMs = 120;
const pollMs = 3;

export interface SceneOptions {
  readonly redisUrl: string;
  /** Straight to Redis and Postgres, past all troubles. */
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  /** Keys and devices of this run alone. */
  readonly keyPrefix: string;
  readonly run: string;
  readonly stillLimitMs: number;
  /** Kills Redis and starts it again; only where the run has one to itself. */
  readonly restartRedis: (() => Promise<void>) | undefined;
}

/** What the lives of one run have in common: servers, stream, what was sent, what is to go wrong, what was seen. */
export class Scene {
  readonly redisUrl: string;
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly stream: string;
  readonly group = 'processor';
  readonly ledger: Ledger;
  /** How long nothing may move before the run has failed: of standing still, not of draining, for a machine may be slow. */
  readonly stillLimitMs: number;
  readonly faults = new Faults();
  readonly #beganAtMs = performance.now();
  readonly #notes: string[] = [];
  readonly #accusations: string[] = [];
  readonly #happened = new Map<string, number>();
  readonly #afterwards: Promise<unknown>[] = [];
  readonly #attempts = new Set<string>();
  readonly #advances = new Map<string, number>();
  readonly #heardKeys = new Set<string>();
  readonly #restartRedis: (() => Promise<void>) | undefined;
  #hasLostGroup = false;
  #called = Promise.withResolvers<void>();

  constructor(options: SceneOptions) {
    this.redisUrl = options.redisUrl;
    this.redis = options.redis;
    this.sql = options.sql;
    this.stillLimitMs = options.stillLimitMs;
    this.#restartRedis = options.restartRedis;
    this.stream = `${options.keyPrefix}${options.run}`;
    this.ledger = new Ledger(options.run, Date.now() - 3_600_000);
  }

  /** What happened, line by line. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** How often each kind of thing happened. */
  get happened(): ReadonlyMap<string, number> {
    return this.#happened;
  }

  count(what: string, times = 1): void {
    this.#happened.set(what, times + (this.#happened.get(what) ?? 0));
  }

  get accusations(): readonly string[] {
    return this.#accusations;
  }

  note(who: string, what: string): void {
    const atMs = (performance.now() - this.#beganAtMs).toFixed(1).padStart(7);
    this.#notes.push(`${atMs} ${who.padEnd(6)} ${what}`);
  }

  /** Says that the promise is broken; the run goes on, and fails at its end. */
  accuse(what: string): void {
    this.note('!', what);
    this.#accusations.push(what);
  }

  /** Takes what a server still does for a process that has given up or is dead. */
  afterwards(work: Promise<unknown>): void {
    // A refused row is refused late as well.
    this.#afterwards.push(work.catch(() => undefined));
  }

  /** The group is gone, and with it its counters. */
  noteGroupLost(): void {
    this.#hasLostGroup = true;
  }

  get hasLostGroup(): boolean {
    return this.#hasLostGroup;
  }

  async restartRedis(): Promise<void> {
    this.count('restart Redis');
    await this.#restartRedis?.();
  }

  /** A processor calls Redis, Postgres or the domain. */
  noteCall(who: string, what: string): void {
    this.note(who, what);
    this.count(what);
    this.#called.resolve();
    this.#called = Promise.withResolvers();
  }

  /** Resolves after so many calls, or when there is nothing more to do, or nothing happens for a while. */
  async callsPass(calls: number, areIdle: () => boolean): Promise<void> {
    let left = calls;
    let lastCallAtMs = performance.now();
    while (left > 0) {
      if ((await Promise.race([this.#called.promise, wait(pollMs, 'quiet' as const)])) !== 'quiet') {
        left -= 1;
        lastCallAtMs = performance.now();
      } else if (areIdle() || performance.now() - lastCallAtMs > quietMs) return;
    }
  }

  async settleAfterwards(): Promise<void> {
    await Promise.all(this.#afterwards);
  }

  noteAttempt(id: string, processor: string): void {
    this.#attempts.add(`${id} ${processor}`);
  }

  /** How many processes have begun an attempt at this entry alone. */
  attemptsAt(id: string): number {
    return [...this.#attempts].filter((attempt) => attempt.startsWith(`${id} `)).length;
  }

  noteHeard({ fix, before, after }: StateTransition): void {
    const { deviceId, fixAtMs } = fix.position;
    this.#heardKeys.add(`${keyOf({ deviceId, fixAtMs })}:${contentOf(fix)}`);
    const isAdvance =
      (before.lastFix === undefined || before.lastFix.fixAtMs < fixAtMs) &&
      after.lastFix?.fixAtMs === fixAtMs;
    if (isAdvance) this.#advances.set(deviceId, Math.max(fixAtMs, this.#advances.get(deviceId) ?? 0));
  }

  wasHeard(entry: SentEntry): boolean {
    return this.#heardKeys.has(`${keyOf(entry)}:${entry.content}`);
  }

  /** The newest fix of the device that any life heard as a step forward. */
  newestAdvanceMs(deviceId: string): number | undefined {
    return this.#advances.get(deviceId);
  }

  async gatherEvidence(): Promise<Evidence> {
    const { sql, redis } = this;
    return await gatherEvidence({
      sql,
      redis,
      deviceIds: this.ledger.deviceIds,
      stream: this.stream,
    });
  }
}

/** What the ledger wrote into the record's attributes. */
function contentOf({ position }: Fix): string {
  const attributes: Readonly<Record<string, unknown>> = JSON.parse(position.attributesJson);
  return String(attributes['content']);
}
