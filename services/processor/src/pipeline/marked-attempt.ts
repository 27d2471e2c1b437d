import { randomUUID } from 'node:crypto';
import { delay, retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';

/** Set of the marks of entries that are being tried under a mark right now, or were when the process died. */
export function attemptsKey(stream: string): string {
  return `${stream}:attempts`;
}

/** Of the marks of an entry those that say the process tried it together with others: a death is not its own then. */
const inCompany = 'in-company';

export interface MarkedAttemptOptions {
  readonly abandon: AbortSignal;
  /** Called when Redis did not take a mark, before it is tried again: a loop that waits for Redis as it should is alive. */
  readonly onRetry?: () => void;
  /** How long the mark of an attempt that is at work stands. */
  readonly workMs?: number;
}

/** Work on one entry keeps a process busy for less. What lasts longer waits: for a lock, for a server. */
const longestWorkMs = 1000;
const lookAgainMs = 50;

/**
 * Marks in Redis that stand while the process works on suspicious entries: on one alone, or on several together. If the
 * process dies meanwhile they stay, and that alone is what tells poison from an entry that was merely read often.
 *
 * They are taken away while the attempt waits, and however the attempt ends: a process that is killed in an
 * outage waits for Postgres, and the entries it holds are as good as any. A process that hangs in its own work
 * takes nothing away.
 */
export class MarkedAttempt implements AsyncDisposable {
  readonly #redis: Redis;
  readonly #key: string;
  readonly #entryIds: ReadonlySet<string>;
  /** One for each entry; of this attempt alone, so that a command that is sent twice marks once. */
  readonly #marks: readonly string[];
  readonly #retryOptions: { readonly signal: AbortSignal; readonly onRetry: () => void };
  readonly #workMs: number;
  #isMarked = true;
  /** The changes of the marks, one after the other. */
  #changed: Promise<void> = Promise.resolve();
  #expiry: NodeJS.Timeout | undefined;
  #unendedAttempts = 1;

  private constructor(
    redis: Redis,
    stream: string,
    entryIds: readonly string[],
    options: MarkedAttemptOptions,
  ) {
    const { abandon, onRetry = () => undefined, workMs = longestWorkMs } = options;
    this.#redis = redis;
    this.#key = attemptsKey(stream);
    this.#entryIds = new Set(entryIds);
    const mark = entryIds.length > 1 ? `${inCompany} ${randomUUID()}` : randomUUID();
    this.#marks = entryIds.map((id) => `${id} ${mark}`);
    this.#retryOptions = { signal: abandon, onRetry };
    this.#workMs = workMs;
  }

  static async begin(
    redis: Redis,
    stream: string,
    entryIds: readonly string[],
    options: MarkedAttemptOptions,
  ): Promise<MarkedAttempt> {
    const attempt = new MarkedAttempt(redis, stream, entryIds, options);
    // Abandoned before it has begun it has ended too, and its marks may stand.
    await using stack = new AsyncDisposableStack();
    stack.use(attempt);
    await retry(() => redis.sadd(attempt.#key, ...attempt.#marks), attempt.#retryOptions);
    // What several were tried in together says nothing about any one of them.
    if (entryIds.length === 1) attempt.#unendedAttempts = (await attempt.#loneMarks()).length;
    attempt.#expire();
    stack.move();
    return attempt;
  }

  /** Of an attempt at one entry: those at it alone that began and never ended, this one included. Of any other: 1. */
  get unendedAttempts(): number {
    return this.#unendedAttempts;
  }

  /**
   * Where more than `allowed` attempts have not ended, some may be at work elsewhere: a process that is asked to stop or
   * from which the entry was claimed. What those do ends or lasts too long, and takes the mark away; a death does not.
   * So the attempt waits, until few enough are left or all that could be alive would be gone. It counts how often it has
   * looked: where all processes stood still, with their machine, none has had the time that a clock says.
   */
  async outlive(allowed: number): Promise<void> {
    const { signal, onRetry } = this.#retryOptions;
    await this.suspend();
    let others = await this.#loneMarks();
    for (let looks = 0; others.length >= allowed && looks < (2 * this.#workMs) / lookAgainMs; looks += 1) {
      await delay(lookAgainMs, signal);
      onRetry();
      const standing = new Set(await this.#loneMarks());
      others = others.filter((mark) => standing.has(mark));
    }
    this.#unendedAttempts = 1 + others.length;
    if (this.#unendedAttempts <= allowed) await this.resume();
  }

  /** The attempt waits. */
  async suspend(): Promise<void> {
    clearTimeout(this.#expiry);
    await this.#change(false);
  }

  /** The attempt works, again or still. */
  async resume(): Promise<void> {
    clearTimeout(this.#expiry);
    await this.#change(true);
    this.#expire();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#expiry);
    await this.#changed.catch(() => undefined);
    if (this.#retryOptions.signal.aborted) {
      // Marks left behind would count as a death; those of true deaths stay for the next attempt.
      await this.#redis.srem(this.#key, ...this.#marks);
      return;
    }
    const marks = await this.#findMarks();
    await retry(() => this.#redis.srem(this.#key, ...this.#marks, ...marks), this.#retryOptions);
  }

  #expire(): void {
    this.#expiry = setTimeout(() => {
      // Whoever changes the marks next hears of a failure.
      this.suspend().catch(() => undefined);
    }, this.#workMs);
  }

  #change(isMarked: boolean): Promise<void> {
    const change = async (): Promise<void> => {
      if (this.#isMarked === isMarked) return;
      const command = isMarked ? 'sadd' : 'srem';
      await retry(() => this.#redis[command](this.#key, ...this.#marks), this.#retryOptions);
      this.#isMarked = isMarked;
    };
    this.#changed = this.#changed.then(change);
    return this.#changed;
  }

  /** The entries' marks, of this attempt and of those that never ended; the set holds few. */
  async #findMarks(): Promise<readonly string[]> {
    const marks = await retry(() => this.#redis.smembers(this.#key), this.#retryOptions);
    return marks.filter((mark) => this.#entryIds.has(entryOf(mark)));
  }

  async #loneMarks(): Promise<readonly string[]> {
    const marks = await this.#findMarks();
    return marks.filter((mark) => !mark.startsWith(`${entryOf(mark)} ${inCompany} `));
  }
}

/** Ids of the entries that have a mark: a process may have died while it tried them, alone or together. */
export async function findMarkedEntries(
  redis: Redis,
  stream: string,
  { abandon, onRetry = () => undefined }: Pick<MarkedAttemptOptions, 'abandon' | 'onRetry'>,
): Promise<ReadonlySet<string>> {
  const marks = await retry(() => redis.smembers(attemptsKey(stream)), { signal: abandon, onRetry });
  return new Set(marks.map(entryOf));
}

function entryOf(mark: string): string {
  return mark.slice(0, mark.indexOf(' '));
}
