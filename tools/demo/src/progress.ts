import type { SentCounts, Tally } from '@app/fleet-sim/tally';
import type { SnapshotPosition } from '@app/shared/messages';
import { readMetric } from '@app/test-kit/read-metric';
import type { Spectator } from './spectator.ts';
import type { System } from './system.ts';

/** A service's values are undefined while it does not answer. */
export interface Progress {
  readonly atMs: number;
  readonly sent: SentCounts;
  readonly stored: number | undefined;
  readonly duplicates: number | undefined;
  readonly deadLetters: number | undefined;
  readonly lagEntries: number | undefined;
  readonly lagS: number | undefined;
  readonly pending: number | undefined;
  readonly received: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  /** Newest first. */
  readonly newest: readonly SnapshotPosition[];
}

/** From the processor's metrics and the spectator. */
export async function readProgress(system: System, tally: Tally, spectator: Spectator): Promise<Progress> {
  const text = await readProcessorMetrics(system);
  // A counter that has not moved has no sample: 0, unless there was no answer.
  const count = (name: string, labels?: Record<string, string>): number | undefined =>
    text === '' ? undefined : (readMetric(text, name, labels) ?? 0);
  return {
    atMs: Date.now(),
    sent: tally.counts,
    stored: count('processor_position_writes_total', { status: 'inserted' }),
    duplicates: count('processor_position_writes_total', { status: 'duplicate' }),
    deadLetters: count('processor_dead_letters_total'),
    lagEntries: readMetric(text, 'processor_consumer_lag'),
    lagS: readMetric(text, 'processor_consumer_lag_seconds'),
    pending: readMetric(text, 'processor_consumer_pending'),
    received: spectator.received,
    p50Ms: spectator.latencies.percentileMs(0.5),
    p99Ms: spectator.latencies.percentileMs(0.99),
    newest: [...spectator.newest.values()].toSorted(
      (a, b) => b.ts - a.ts || a.deviceId.localeCompare(b.deviceId),
    ),
  };
}

/** The processor's `/metrics`; empty while it does not answer. */
export async function readProcessorMetrics({ processor }: System): Promise<string> {
  return await processor.exposition().catch(() => '');
}
