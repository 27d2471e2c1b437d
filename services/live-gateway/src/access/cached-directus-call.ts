import type { CallDirectus, DirectusReply } from './call-directus.ts';
import { DirectusCache } from './directus-cache.ts';
import type { CacheResult } from './directus-cache.ts';
import type { ReportDirectus } from './report-directus.ts';
import type { Visitor } from './visitor.ts';

export interface CachedCallOptions {
  readonly callDirectus: CallDirectus;
  readonly timeoutMs: number;
  readonly cacheTtlMs: number;
  readonly nowMs: () => number;
  /** Called after each Directus call; the duration includes the time in the queue. */
  readonly onCall: (outcome: string, durationMs: number) => void;
  readonly onCacheResult: (result: CacheResult) => void;
  /** Called after each Directus call, with its failure if it failed. */
  readonly onResult: ReportDirectus;
}

/** What a response means. */
interface Result {
  readonly kind: string;
  /** Directus refuses because of its licence. */
  readonly isRestricted?: boolean;
}

type CachedDirectusCall<T> = (
  call: {
    readonly key: string;
    readonly path: string;
    readonly visitor: Visitor;
    readonly read: (reply: DirectusReply) => T;
  },
  notBeforeMs?: number,
) => Promise<T>;

/** Refusals are cached for less time: a client that logs in again must not be refused for long. */
const maxRefusalTtlMs = 5_000;

/**
 * Calls Directus through a cache. Unavailability is not cached.
 *
 * @param positiveKind the kind of result that is cached for `cacheTtlMs`; any other counts as a refusal.
 */
export function createCachedDirectusCall<T extends Result>(
  { callDirectus, timeoutMs, cacheTtlMs, nowMs, onCall, onCacheResult, onResult }: CachedCallOptions,
  positiveKind: T['kind'],
  maxEntries: number,
): CachedDirectusCall<T> {
  const cache = new DirectusCache<T>({ maxEntries, nowMs, onResult: onCacheResult });
  const ttlMs = ({ kind }: Result): number => {
    if (kind === 'unavailable') return 0;
    return kind === positiveKind ? cacheTtlMs : Math.min(cacheTtlMs, maxRefusalTtlMs);
  };
  return ({ key, path, visitor, read }, notBeforeMs) =>
    cache.get(
      key,
      async () => {
        const requestedAtMs = nowMs();
        const reply = await callDirectus(path, visitor, timeoutMs);
        const value = read(reply);
        const outcome = outcomeOf(reply, value);
        onCall(outcome, nowMs() - requestedAtMs);
        const cause = reply.answered ? `HTTP ${reply.status}` : reply.cause;
        onResult(value.kind === 'unavailable' ? { reason: outcome, cause } : undefined);
        return { value, ttlMs: ttlMs(value) };
      },
      notBeforeMs,
    );
}

/** The `outcome` label of `live_auth_duration_seconds`. */
function outcomeOf(reply: DirectusReply, { kind, isRestricted }: Result): string {
  if (!reply.answered) return reply.reason;
  return isRestricted === true ? 'restricted' : kind;
}
