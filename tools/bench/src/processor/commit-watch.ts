import type postgres from 'postgres';
import { setTimeout as sleep } from 'node:timers/promises';

interface Sight {
  /** When the question was asked: a transaction that the answer does not show was not committed before. */
  readonly askedAtMs: number;
  /** When the answer was here: a transaction that it shows had been committed by then. */
  readonly seenAtMs: number;
  /** Transactions from this one on are not yet committed, */
  readonly firstUnborn: number;
  /** nor are these before it. */
  readonly running: readonly number[];
}

/** Between what is known of a transaction that was not seen yet, and when it was seen, in epoch ms. */
export interface CommitSeen {
  readonly notBeforeMs: number;
  readonly seenAtMs: number;
}

const pauseMs = 1;

/**
 * Notes when each transaction of a server is to be seen as committed, by asking for a snapshot again and again. Another
 * session sees a transaction only after it has been flushed; the server's own commit timestamp
 * (`track_commit_timestamp`) is taken before that, and on a slow disk nearly all of a commit comes after.
 */
export class CommitWatch {
  readonly #sql: postgres.Sql;
  readonly #sights: Sight[] = [];
  #isWatching = true;
  readonly #ended: Promise<void>;

  constructor(sql: postgres.Sql) {
    this.#sql = sql;
    this.#ended = this.#watch();
  }

  /** Ends the watch; the result tells when a transaction was first seen committed, by its 32-bit id. */
  async stop(): Promise<(transaction: number) => CommitSeen> {
    this.#isWatching = false;
    await this.#ended;
    const seen = new Map<number, CommitSeen>();
    return (transaction) => {
      let commit = seen.get(transaction);
      if (commit === undefined) {
        const at = this.#sights.findIndex(
          ({ firstUnborn, running }) => transaction < firstUnborn && !running.includes(transaction),
        );
        commit = {
          notBeforeMs: this.#sights[at - 1]?.askedAtMs ?? Number.NaN,
          seenAtMs: this.#sights[at]?.seenAtMs ?? Number.NaN,
        };
        seen.set(transaction, commit);
      }
      return commit;
    };
  }

  async #watch(): Promise<void> {
    const one = await this.#sql.reserve();
    try {
      for (let isLast = false; !isLast;) {
        // Once more after the end was asked for: what is committed by then is seen.
        isLast = !this.#isWatching;
        const askedAtMs = epochMs();
        const [row] = await one<{ snapshot: string }[]>`select pg_current_snapshot()::text as snapshot`;
        this.#sights.push({ askedAtMs, seenAtMs: epochMs(), ...readSnapshot(row?.snapshot ?? '') });
        await sleep(pauseMs);
      }
    } finally {
      one.release();
    }
  }
}

/** `xmin:xmax:xip,xip`, of 64 bits each; rows carry the lower 32. */
function readSnapshot(snapshot: string): Pick<Sight, 'firstUnborn' | 'running'> {
  const [, xmax = '', running = ''] = snapshot.split(':');
  const ids = running === '' ? [] : running.split(',');
  return { firstUnborn: lower32(xmax), running: ids.map(lower32) };
}

function lower32(id: string): number {
  return Number(BigInt.asUintN(32, BigInt(id)));
}

/** Finer than Date.now(), and the same clock in all processes of a machine. */
function epochMs(): number {
  return performance.timeOrigin + performance.now();
}
