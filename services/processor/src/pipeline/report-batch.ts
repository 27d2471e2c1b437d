import type { Logger } from '@app/runtime/log';
import { qualityFlags } from '@app/shared/quality';
import type { Metrics } from '../metrics.ts';
import type { Entry } from '../stream/entry-reply.ts';
import type { Fix, Rejected } from '../fix.ts';

/** pino truncates long strings and long arrays, so ids are joined into a few strings with this many each. */
const idsPerString = 200;

/** Latency from XADD to the commit, and quality flags. */
export function observeDurable(metrics: Metrics, durable: readonly Fix[]): void {
  const nowMs = Date.now();
  const latency = metrics.ingestLatencySeconds.labels();
  for (const { arrivedAtMs, quality, isPastLimit } of durable) {
    // Two clocks, Redis' and this host's: skew shows as latency, but never as a negative one.
    latency.observe(Math.max(0, nowMs - arrivedAtMs) / 1000);
    if (quality !== 0) for (const flag of qualityFlags(quality)) metrics.fixQuality.inc({ flag });
    if (isPastLimit) metrics.pastLimitFixes.inc();
  }
}

/** One line per batch with all entry ids, so that an entry can be traced through redeliveries. */
export function logBatch(
  log: Logger,
  stream: string,
  entries: readonly Entry[],
  durable: readonly Fix[],
  rejected: readonly Rejected[],
): void {
  if (!log.isLevelEnabled('debug')) return;
  const counts = { entries: entries.length, durable: durable.length, rejected: rejected.length };
  const ids = joinIds(entries);
  const rejectedIds = joinIds(rejected.map(({ entry }) => entry));
  log.debug({ stream, ...counts, ids, rejectedIds }, 'batch done');
}

function joinIds(entries: readonly Entry[]): readonly string[] {
  const strings: string[] = [];
  for (let from = 0; from < entries.length; from += idsPerString) {
    const slice = entries.slice(from, from + idsPerString);
    strings.push(slice.map(({ id }) => id).join(' '));
  }
  return strings;
}
