import type { Logger } from '@app/runtime/log';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import type { ReadLimiter } from './read-limiter.ts';
import type { GroupMember } from './consumer-group.ts';
import type { EntriesReply } from './entry-reply.ts';
import type { LossDetector } from './loss-detector.ts';
import type { ReadFailures } from './read-failures.ts';
import type { StreamClient } from './stream-client.ts';
import type { StreamConnection } from './stream-connection.ts';

export interface ReaderOptions extends GroupMember {
  readonly redisUrl: string;
  /** Sends CLIENT UNBLOCK; the reader's own connection is the one that blocks. */
  readonly commands: Redis;
  readonly maxPerRead: number;
  readonly maxPerBatch: number;
  /** Approximate maximum bytes per read. */
  readonly batchBytes: number;
  readonly blockMs: number;
  readonly lingerMs: number;
  readonly claimIdleMs: number;
  readonly claimIntervalMs: number;
  readonly deleteConsumersAfterMs: number;
  readonly maxDeliveries: number;
  /**
   * Ids in flight or not yet acknowledged, dropped from reads of pending entries and from claims. Not from reads of new
   * entries: a recreated group delivers them again, and one that was acknowledged before that would stay pending.
   */
  readonly excludedIds: () => ReadonlySet<string>;
  /** Called when a command was answered, a deadline missed, or a retry begins; liveness is computed from it. */
  readonly onProgress: () => void;
  readonly failures: ReadFailures;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** What the steps of reading share while one connection lasts. */
export interface ReadContext {
  readonly options: ReaderOptions;
  readonly connection: StreamConnection;
  readonly client: StreamClient;
  readonly losses: LossDetector;
  readonly readLimiter: ReadLimiter;
  readonly stop: AbortSignal;
  readonly noteRead: (result: string, reply: EntriesReply) => void;
}
