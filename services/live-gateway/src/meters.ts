import { closeCode } from '@app/shared/protocol';
import type { DirectusMeter, DirectusOperation } from './access/create-access.ts';
import type { Traffic } from './connection/traffic.ts';
import type { FanOutMeter } from './fanout/write-context.ts';
import type { Metrics } from './metrics.ts';
import type { ResultsMeter } from './results/results-reader.ts';

/** Counts frames and bytes written to sockets, and closes. */
export function meterTraffic(metrics: Metrics): Traffic {
  return {
    onSent: (frames, bytes) => {
      metrics.framesSent.inc(frames);
      metrics.bytesSent.inc(bytes);
    },
    onDropped: () => metrics.droppedFrames.inc(),
    onClosed: (code) => metrics.closes.inc({ code: closeLabel(code) }),
  };
}

/** Measures ticks and deliveries. */
export function meterFanOut(metrics: Metrics): FanOutMeter {
  return {
    onTick: (durationMs) => metrics.fanoutTickSeconds.observe(durationMs / 1000),
    onPositionsSent: (positions) => metrics.positionsSent.inc(positions),
    onSnapshot: (positions) => metrics.snapshotDevices.observe(positions),
    onConflated: (positions) => metrics.positionsConflated.inc(positions),
    onDelivered: (fix, nowMs) => {
      metrics.fixAgeSeconds.observe(Math.max(0, nowMs - fix.fixAtMs) / 1000);
      // A small difference of clocks counts as 0.
      if (fix.arrivedAtMs === undefined) return;
      metrics.deliveryLatencySeconds.observe(Math.max(0, nowMs - fix.arrivedAtMs) / 1000);
    },
  };
}

/** Counts reads and revisions of results. */
export function meterResults(metrics: Metrics): ResultsMeter {
  return {
    onRead: (reason, hasFailed) =>
      metrics.resultReads.inc({ reason, outcome: hasFailed ? 'failed' : 'read' }),
    onRevision: (source) => metrics.resultRevisions.inc({ source }),
  };
}

/** Measures requests of one kind to Directus. */
export function meterDirectus(metrics: Metrics, operation: DirectusOperation): DirectusMeter {
  return {
    onCall: (outcome, durationMs) => metrics.authDuration.observe({ operation, outcome }, durationMs / 1000),
    onCacheResult: (result) => metrics.authCache.inc({ result }),
  };
}

/** A client may close with any code up to 4999; codes outside the protocol share one label. */
const knownCloseCodes: ReadonlySet<number> = new Set([1000, 1001, 1005, 1006, ...Object.values(closeCode)]);

function closeLabel(code: number): string {
  return knownCloseCodes.has(code) ? String(code) : 'other';
}
