import { closeCode } from '@app/shared/protocol';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { CacheResult } from './access/directus-cache.ts';
import type { OnDirectusCall } from './access/authenticate.ts';
import type { FanOutMeter } from './fanout/fan-out.ts';
import type { Traffic } from './connection/traffic.ts';

/** The gateway's metrics. Names and labels are public: dashboards and alerts use them. */
export type Metrics = ReturnType<typeof createMetrics>;

const tickBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
// A fix waits for up to one interval of its rate class, which is 2 s at most.
const deliveryBuckets = [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 3, 5, 10, 30];
const fixAgeBuckets = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600];
const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const deviceBuckets = [0, 1, 5, 10, 25, 50, 100, 200, 500, 1000, 5000];

interface Summed {
  readonly inc: (count: number) => void;
}

/** Creates and registers counters and histograms; gauges are in `state-gauges.ts`. Devices, events and users are never labels. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  /** A counter kept in a local number until it is scraped, because it is incremented for every socket in every tick. */
  const summed = (metric: string, help: string): Summed => {
    let uncounted = 0;
    const counter = new Counter({
      name: metric,
      help,
      registers,
      collect() {
        counter.inc(uncounted);
        uncounted = 0;
      },
    });
    return {
      inc: (count) => {
        uncounted += count;
      },
    };
  };
  return {
    upgrades: new Counter({
      name: 'live_upgrades_total',
      help: 'Upgrade requests by result.',
      labelNames: ['result'] as const,
      registers,
    }),
    closes: new Counter({
      name: 'live_closes_total',
      help: 'Closed connections by close code; 1006 means without a close frame.',
      labelNames: ['code'] as const,
      registers,
    }),
    messagesReceived: new Counter({
      name: 'live_messages_received_total',
      help: 'Client messages by type, or by the error they were answered with.',
      labelNames: ['type'] as const,
      registers,
    }),
    framesSent: summed('live_frames_sent_total', 'Frames written to sockets.'),
    positionsSent: summed(
      'live_positions_sent_total',
      'Positions written to sockets, per client; includes snapshots of the plain dialect.',
    ),
    bytesSent: summed('live_bytes_sent_total', 'Payload bytes written to sockets, without frame headers.'),
    positionsConflated: new Counter({
      name: 'live_positions_conflated_total',
      help: 'Positions conflated (superseded before being sent), per client.',
      registers,
    }),
    laggingConnections: new Gauge({
      name: 'live_lagging_connections',
      help: 'Connections currently lagging.',
      registers,
    }),
    droppedFrames: new Counter({
      name: 'live_dropped_frames_total',
      help: 'Frames dropped by uWebSockets.js; any value above 0 is a bug.',
      registers,
    }),
    fanoutTickSeconds: new Histogram({
      name: 'live_fanout_tick_seconds',
      help: 'Duration of a tick, from the plan to the last write.',
      buckets: tickBuckets,
      registers,
    }),
    deliveryLatencySeconds: new Histogram({
      name: 'live_delivery_latency_seconds',
      help: "Time from a fix's arrival in the stream (Redis' clock) to its write to the last live client.",
      buckets: deliveryBuckets,
      registers,
    }),
    fixAgeSeconds: new Histogram({
      name: 'live_fix_age_seconds',
      help: "Time from a fix (the tracker's clock) to its write to the last live client.",
      buckets: fixAgeBuckets,
      registers,
    }),
    streamLagSeconds: new Gauge({
      name: 'live_stream_lag_seconds',
      help: 'Age of the first entry not yet applied; 0 if there is none, NaN while Redis does not answer.',
      labelNames: ['stream'] as const,
      registers,
    }),
    streamEntries: new Counter({
      name: 'live_stream_entries_total',
      help: 'Stream entries read, by result.',
      labelNames: ['result'] as const,
      registers,
    }),
    orphanRecords: new Counter({
      name: 'live_orphan_records_total',
      help: 'Records of unassigned devices.',
      registers,
    }),
    authDuration: new Histogram({
      name: 'live_auth_duration_seconds',
      help: 'Directus request duration, including time queued for a free slot.',
      labelNames: ['operation', 'outcome'] as const,
      buckets: callBuckets,
      registers,
    }),
    authCache: new Counter({
      name: 'live_auth_cache_total',
      help: 'Look-ups of sessions and permissions, by source of the answer.',
      labelNames: ['result'] as const,
      registers,
    }),
    reauthorizations: new Counter({
      name: 'live_reauthorizations_total',
      help: 'Re-authorisations of subscriptions, by outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    resumes: new Counter({
      name: 'live_resumes_total',
      help: 'Subscribe requests with a cursor, by outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    snapshotDevices: new Histogram({
      name: 'live_snapshot_devices',
      help: 'Positions per snapshot.',
      buckets: deviceBuckets,
      registers,
    }),
  };
}

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
      // Redis' clock against this process's: negative skew counts as 0.
      if (fix.arrivedAtMs === undefined) return;
      metrics.deliveryLatencySeconds.observe(Math.max(0, nowMs - fix.arrivedAtMs) / 1000);
    },
  };
}

/** Measures requests of one kind to Directus. */
export function meterDirectus(
  metrics: Metrics,
  operation: 'authenticate' | 'authorize',
): { onCall: OnDirectusCall; onCacheResult: (result: CacheResult) => void } {
  return {
    onCall: (outcome, durationMs) => metrics.authDuration.observe({ operation, outcome }, durationMs / 1000),
    onCacheResult: (result) => metrics.authCache.inc({ result }),
  };
}

/** A client may close with any code up to 4999; codes outside the protocol share one label. */
const knownCloseCodes: ReadonlySet<number> = new Set([1000, 1005, 1006, ...Object.values(closeCode)]);

function closeLabel(code: number): string {
  return knownCloseCodes.has(code) ? String(code) : 'other';
}
