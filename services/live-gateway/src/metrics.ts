import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

/** The gateway's metrics. Names and labels are public: dashboards and alerts use them. */
export type Metrics = ReturnType<typeof createMetrics>;

const tickBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
// A fix waits for up to one interval of its rate class, which is 2 s at most with the default LIVE_TICK_MS.
const deliveryBuckets = [0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 3, 5, 10, 30];
const fixAgeBuckets = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600];
const callBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const deviceBuckets = [0, 1, 5, 10, 25, 50, 100, 200, 500, 1000, 5000];

/**
 * Creates and registers counters and histograms; most gauges are in `state-gauges.ts`. Devices, events and users are
 * never labels.
 */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string = never>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string = never>(name: string, help: string, ...labelNames: L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    ...labelNames: L[]
  ): Histogram<L> => new Histogram({ name, help, labelNames, buckets, registers });
  /** A counter kept in a local number until it is scraped, because it is incremented for every socket in every tick. */
  const summed = (name: string, help: string): { readonly inc: (count: number) => void } => {
    let uncounted = 0;
    const total = new Counter({
      name,
      help,
      registers,
      collect() {
        total.inc(uncounted);
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
    upgrades: counter('live_upgrades_total', 'Upgrade requests by result.', 'result'),
    closes: counter(
      'live_closes_total',
      'Closed connections by close code; 1006 means without a close frame.',
      'code',
    ),
    clientErrors: counter(
      'live_client_errors_total',
      'Unexpected errors that closed one connection (1011) or failed one upgrade (500); any value above 0 is a bug.',
      'operation',
    ),
    messagesReceived: counter(
      'live_messages_received_total',
      'Client messages by type, or by the error they were answered with.',
      'type',
    ),
    framesSent: summed('live_frames_sent_total', 'Frames written to sockets.'),
    positionsSent: summed(
      'live_positions_sent_total',
      'Positions written to sockets, per client, snapshots included.',
    ),
    bytesSent: summed('live_bytes_sent_total', 'Payload bytes written to sockets, without frame headers.'),
    positionsConflated: counter(
      'live_positions_conflated_total',
      'Positions conflated (superseded before being sent), per client.',
    ),
    laggingConnections: gauge('live_lagging_connections', 'Connections currently lagging.'),
    droppedFrames: counter(
      'live_dropped_frames_total',
      'Frames dropped by uWebSockets.js; any value above 0 is a bug.',
    ),
    fanoutTickSeconds: histogram(
      'live_fanout_tick_seconds',
      'Duration of a tick, from the plan to the last write.',
      tickBuckets,
    ),
    deliveryLatencySeconds: histogram(
      'live_delivery_latency_seconds',
      "Time from a fix's arrival in the stream (Redis' clock, corrected) to the end of the flush of a rate group.",
      deliveryBuckets,
    ),
    fixAgeSeconds: histogram(
      'live_fix_age_seconds',
      "Time from a fix (the tracker's clock) to the end of the flush of a rate group.",
      fixAgeBuckets,
    ),
    streamLagSeconds: gauge(
      'live_stream_lag_seconds',
      'Age of the first entry not yet applied; 0 if there is none, NaN while Redis does not answer or ids are ahead of the clock.',
      'stream',
    ),
    clockSkew: gauge(
      'live_clock_skew_seconds',
      'Difference of a clock from the time on which two of three clocks agree; NaN if it cannot be asked.',
      'clock',
    ),
    streamEntries: counter('live_stream_entries_total', 'Stream entries read, by result.', 'result'),
    orphanRecords: counter('live_orphan_records_total', 'Records of unassigned devices.'),
    authDuration: histogram(
      'live_auth_duration_seconds',
      'Directus request duration, including time queued for a free slot.',
      callBuckets,
      'operation',
      'outcome',
    ),
    authCache: counter(
      'live_auth_cache_total',
      'Look-ups of sessions and permissions, by source of the answer.',
      'result',
    ),
    reauthorizations: counter(
      'live_reauthorizations_total',
      'Re-authorisations of subscriptions, by outcome.',
      'outcome',
    ),
    admissions: counter(
      'live_admissions_total',
      'Connections opened, by the kind of credential.',
      'credential',
    ),
    reauthentications: counter(
      'live_reauthentications_total',
      'Sessions handed over to open connections, by outcome.',
      'outcome',
    ),
    suspensionChecks: counter(
      'live_suspension_checks_total',
      'Checks at admission whether a user is suspended, by outcome.',
      'outcome',
    ),
    resumes: counter('live_resumes_total', 'Subscribe requests with a cursor, by outcome.', 'outcome'),
    resultReads: counter(
      'live_results_reads_total',
      "Reads of an event's results from the tables, by reason and outcome.",
      'reason',
      'outcome',
    ),
    resultRevisions: counter(
      'live_results_revisions_total',
      'Revisions of results applied, by source.',
      'source',
    ),
    resultsLagSeconds: histogram(
      'live_results_lag_seconds',
      "Time from the write of a revision of results (Postgres' clock, corrected) to the end of its delivery to clients.",
      deliveryBuckets,
    ),
    snapshotDevices: histogram('live_snapshot_devices', 'Devices per snapshot.', deviceBuckets),
  };
}
