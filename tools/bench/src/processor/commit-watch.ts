import type postgres from 'postgres';
import { setTimeout as sleep } from 'node:timers/promises';

interface Snapshot {
  /** Before the query: transactions that it does not show were not committed earlier. */
  readonly askedAtMs: number;
  /** After the query: transactions that it shows were committed by then. */
  readonly seenAtMs: number;
  /** Transactions from this one on were not committed. */
  readonly nextTransaction: number;
  /** Earlier transactions that were not committed. */
  readonly running: readonly number[];
}

/** The interval in which a commit became visible, in epoch ms. */
export interface CommitSeen {
  readonly notBeforeMs: number;
  readonly seenAtMs: number;
}

const pauseMs = 1;

/**
 * Records when each transaction becomes visible to another session, by polling `pg_current_snapshot()`. That is after
 * the flush to disk; the server's commit timestamp (`track_commit_timestamp`) is taken before it.
 */
export class CommitWatch {
  readonly #sql: postgres.Sql;
  readonly #snapshots: Snapshot[] = [];
  #isWatching = true;
  readonly #ended: Promise<void>;

  constructor(sql: postgres.Sql) {
    this.#sql = sql;
    this.#ended = this.#watch();
  }

  /** Stops polling; returns a lookup by 32-bit transaction id. */
  async stop(): Promise<(transaction: number) => CommitSeen> {
    this.#isWatching = false;
    await this.#ended;
    const seen = new Map<number, CommitSeen>();
    return (transaction) => {
      let commit = seen.get(transaction);
      if (commit === undefined) {
        const at = this.#snapshots.findIndex(
          ({ nextTransaction, running }) => transaction < nextTransaction && !running.includes(transaction),
        );
        commit = {
          notBeforeMs: this.#snapshots[at - 1]?.askedAtMs ?? Number.NaN,
          seenAtMs: this.#snapshots[at]?.seenAtMs ?? Number.NaN,
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
        // Once more after stop(), for commits until then.
        isLast = !this.#isWatching;
        const askedAtMs = epochMs();
        const [row] = await one<{ snapshot: string }[]>`select pg_current_snapshot()::text as snapshot`;
        this.#snapshots.push({ askedAtMs, seenAtMs: epochMs(), ...readSnapshot(row?.snapshot ?? '') });
        await sleep(pauseMs);
      }
    } finally {
      one.release();
    }
  }
}

/** `xmin:xmax:xip,xip`, of 64 bits each; rows carry the lower 32. */
function readSnapshot(snapshot: string): Pick<Snapshot, 'nextTransaction' | 'running'> {
  const [, xmax = '', running = ''] = snapshot.split(':');
  const ids = running === '' ? [] : running.split(',');
  return { nextTransaction: lower32(xmax), running: ids.map(lower32) };
}

function lower32(id: string): number {
  return Number(BigInt.asUintN(32, BigInt(id)));
}

/** More precise than Date.now(), and the same clock in all processes of a machine. */
function epochMs(): number {
  return performance.timeOrigin + performance.now();
}
