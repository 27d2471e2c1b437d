import { closeCode } from '@app/shared/protocol';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { CacheResult } from './access/directus-cache.ts';
import type { OnDirectusCall } from './access/authenticate.ts';
import type { FanOutMeter } from './fanout/fan-out.ts';
import type { Traffic } from './connection/traffic.ts';

/** The gateway's metrics, a field each; names and labels are a contract with the dashboards. */
export type Metrics = ReturnType<typeof createMetrics>;

const tickBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
// A rate class waits for up to 2 s, so its shares lie on both sides of each interval.
const deliveryBuckets = [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 3, 5, 10, 30];
const fixAgeBuckets = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600];
const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const deviceBuckets = [0, 1, 5, 10, 25, 50, 100, 200, 500, 1000, 5000];

interface Summed {
  readonly inc: (count: number) => void;
}

/** Creates and registers what the gateway counts and measures; `state-gauges.ts` has the rest. Never a device, an event or a user is a label. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  /** Counted in a plain number until it is scraped: it is told something for every socket of every tick. */
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
      help: 'Requests to upgrade, by how they ended.',
      labelNames: ['result'] as const,
      registers,
    }),
    closes: new Counter({
      name: 'live_closes_total',
      help: 'Closed connections, by close code; 1006 is one without a close frame.',
      labelNames: ['code'] as const,
      registers,
    }),
    messagesReceived: new Counter({
      name: 'live_messages_received_total',
      help: 'Messages of clients, by type, or by the error that answered them.',
      labelNames: ['type'] as const,
      registers,
    }),
    framesSent: summed('live_frames_sent_total', 'Frames handed to sockets.'),
    positionsSent: summed(
      'live_positions_sent_total',
      'Positions handed to sockets, each once per client; those of plain snapshots included.',
    ),
    bytesSent: summed('live_bytes_sent_total', 'Bytes of frames handed to sockets, without headers.'),
    positionsConflated: new Counter({
      name: 'live_positions_conflated_total',
      help: 'Positions that a newer one replaced before they were written, each once per client.',
      registers,
    }),
    laggingConnections: new Gauge({
      name: 'live_lagging_connections',
      help: 'Connections that are behind with what they were sent.',
      registers,
    }),
    droppedFrames: new Counter({
      name: 'live_dropped_frames_total',
      help: 'Frames that uWebSockets.js threw away. Must stay 0.',
      registers,
    }),
    fanoutTickSeconds: new Histogram({
      name: 'live_fanout_tick_seconds',
      help: 'Duration of a tick, from its plan to the last write.',
      buckets: tickBuckets,
      registers,
    }),
    deliveryLatencySeconds: new Histogram({
      name: 'live_delivery_latency_seconds',
      help: "Time from a fix's arrival in the stream (Redis' clock) to its write to the last socket in step.",
      buckets: deliveryBuckets,
      registers,
    }),
    fixAgeSeconds: new Histogram({
      name: 'live_fix_age_seconds',
      help: "Time from a fix (the tracker's clock) to its write to the last socket in step.",
      buckets: fixAgeBuckets,
      registers,
    }),
    streamLagSeconds: new Gauge({
      name: 'live_stream_lag_seconds',
      help: 'Age of the first entry that is not applied yet; 0 if there is none, NaN while Redis does not answer.',
      labelNames: ['stream'] as const,
      registers,
    }),
    streamEntries: new Counter({
      name: 'live_stream_entries_total',
      help: 'Entries read from the streams, by what became of them.',
      labelNames: ['result'] as const,
      registers,
    }),
    orphanRecords: new Counter({
      name: 'live_orphan_records_total',
      help: 'Records of devices that are in no event.',
      registers,
    }),
    authDuration: new Histogram({
      name: 'live_auth_duration_seconds',
      help: 'Calls to Directus, the wait for a turn included.',
      labelNames: ['operation', 'outcome'] as const,
      buckets: callBuckets,
      registers,
    }),
    authCache: new Counter({
      name: 'live_auth_cache_total',
      help: 'Questions about sessions and permissions, by where the answer came from.',
      labelNames: ['result'] as const,
      registers,
    }),
    reauthorizations: new Counter({
      name: 'live_reauthorizations_total',
      help: 'Checks whether a live subscription is still permitted, by their outcome.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    resumes: new Counter({
      name: 'live_resumes_total',
      help: 'Subscriptions that came with a cursor, by how it was taken up.',
      labelNames: ['outcome'] as const,
      registers,
    }),
    snapshotDevices: new Histogram({
      name: 'live_snapshot_devices',
      help: 'Positions in a snapshot.',
      buckets: deviceBuckets,
      registers,
    }),
  };
}

/** What goes over the sockets, counted. */
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

/** The work of the tick, measured. */
export function meterFanOut(metrics: Metrics): FanOutMeter {
  return {
    onTick: (durationMs) => metrics.fanoutTickSeconds.observe(durationMs / 1000),
    onPositionsSent: (positions) => metrics.positionsSent.inc(positions),
    onSnapshot: (positions) => metrics.snapshotDevices.observe(positions),
    onConflated: (positions) => metrics.positionsConflated.inc(positions),
    onDelivered: (fix, nowMs) => {
      metrics.fixAgeSeconds.observe(Math.max(0, nowMs - fix.fixAtMs) / 1000);
      // Redis' clock against this process's: a skew below 0 is shown as 0.
      if (fix.arrivedAtMs === undefined) return;
      metrics.deliveryLatencySeconds.observe(Math.max(0, nowMs - fix.arrivedAtMs) / 1000);
    },
  };
}

/** The questions to Directus of one kind, measured. */
export function meterDirectus(
  metrics: Metrics,
  operation: 'authenticate' | 'authorize',
): { onCall: OnDirectusCall; onCacheResult: (result: CacheResult) => void } {
  return {
    onCall: (outcome, durationMs) => metrics.authDuration.observe({ operation, outcome }, durationMs / 1000),
    onCacheResult: (result) => metrics.authCache.inc({ result }),
  };
}

/** A client may close with any code up to 4999: those of the protocol are told apart, the others are one. */
const knownCloseCodes: ReadonlySet<number> = new Set([1000, 1005, 1006, ...Object.values(closeCode)]);

function closeLabel(code: number): string {
  return knownCloseCodes.has(code) ? String(code) : 'other';
}
