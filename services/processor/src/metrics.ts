import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** The processor's metrics. Names and labels are public: dashboards and alerts use them. */
export type Metrics = ReturnType<typeof createMetrics>;

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
// From an idle stream's milliseconds to the backlog of an hour's outage.
const ingestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

/** Creates and registers the processor's metrics. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  const perStream = ['stream'] as const;
  return {
    reads: new Counter({
      name: 'processor_consumer_reads_total',
      help: 'Stream reads by result.',
      labelNames: ['result'] as const,
      registers,
    }),
    records: new Counter({
      name: 'processor_consumer_records_total',
      help: 'Entries delivered to this consumer, including redeliveries.',
      registers,
    }),
    lag: new Gauge({
      name: 'processor_consumer_lag',
      help: 'Entries not yet delivered to the group; NaN if that is not known.',
      labelNames: perStream,
      registers,
    }),
    lagSeconds: new Gauge({
      name: 'processor_consumer_lag_seconds',
      help: 'Age of the first entry not yet delivered to the group; 0 if every entry was delivered, NaN if that is not known.',
      labelNames: perStream,
      registers,
    }),
    groupAhead: new Gauge({
      name: 'processor_group_ahead_of_stream',
      help: "1 if the group's last delivered id is later than the last id of the stream, so that new entries are skipped; else 0.",
      labelNames: perStream,
      registers,
    }),
    clockSkew: new Gauge({
      name: 'processor_clock_skew_seconds',
      help: 'Difference of a clock from the time on which two of processor, Redis and Postgres agree; `stream`: newest entry id ahead of Redis.',
      labelNames: ['clock'] as const,
      registers,
    }),
    trimHeadroomSeconds: new Gauge({
      name: 'processor_trim_headroom_seconds',
      help: 'Time between the oldest entry in the stream and the first undelivered one; near 0, entries are about to be trimmed unread.',
      labelNames: perStream,
      registers,
    }),
    pending: new Gauge({
      name: 'processor_consumer_pending',
      help: 'Pending entries: delivered to the group and not yet acknowledged.',
      labelNames: perStream,
      registers,
    }),
    oldestPendingSeconds: new Gauge({
      name: 'processor_consumer_oldest_pending_seconds',
      help: 'Age of the oldest pending entry; 0 if no entry is pending, NaN if its id is ahead of the clock of Redis.',
      labelNames: perStream,
      registers,
    }),
    secondsSinceLastRecord: new Gauge({
      name: 'processor_seconds_since_last_record',
      help: 'Age of the newest entry in the stream; NaN if the stream never had one.',
      labelNames: perStream,
      registers,
    }),
    decodeErrors: new Counter({
      name: 'processor_consumer_decode_errors_total',
      help: 'Entries that could not be decoded, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    positionWrites: new Counter({
      name: 'processor_position_writes_total',
      help: 'Fixes sent to Postgres, by result.',
      labelNames: ['status'] as const,
      registers,
    }),
    writeDurationSeconds: new Histogram({
      name: 'processor_position_write_duration_seconds',
      help: 'Duration of statements of the write path (insert, comparison, device-state look-up), including failed ones.',
      buckets: secondsBuckets,
      registers,
    }),
    writeRetries: new Counter({
      name: 'processor_write_retries_total',
      help: 'Retries of statements of the write path, by error class.',
      labelNames: ['class'] as const,
      registers,
    }),
    deadLetters: new Counter({
      name: 'processor_dead_letters_total',
      help: 'Entries written to the dead-letter stream, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    deadLetterFillRatio: new Gauge({
      name: 'processor_dead_letter_fill_ratio',
      help: 'Length of the dead-letter stream divided by DLQ_MAX_LENGTH.',
      labelNames: perStream,
      registers,
    }),
    streamStopped: new Gauge({
      name: 'processor_stream_stopped',
      help: '1 while the stream is stopped because most of its recent entries are rejected, else 0.',
      labelNames: perStream,
      registers,
    }),
    deadLettersWaiting: new Gauge({
      name: 'processor_dead_letters_waiting',
      help: 'Rejected entries that cannot be written to the dead-letter stream and stay pending; 0 while writing works.',
      labelNames: perStream,
      registers,
    }),
    deadLettersTrimmed: new Counter({
      name: 'processor_dead_letters_trimmed_total',
      help: 'Dead letters that DLQ_WHEN_FULL=trim deleted from the dead-letter stream; they are gone.',
      labelNames: perStream,
      registers,
    }),
    acks: new Counter({
      name: 'processor_acks_total',
      help: 'Entries acknowledged.',
      registers,
    }),
    entriesClaimed: new Counter({
      name: 'processor_entries_claimed_total',
      help: 'Idle entries claimed from other consumers.',
      registers,
    }),
    entriesLost: new Counter({
      name: 'processor_entries_lost_total',
      help: 'Entries trimmed or deleted before they were delivered; any increase is data loss.',
      registers,
    }),
    entriesLostAtMost: new Counter({
      name: 'processor_entries_lost_at_most_total',
      help: 'Entries that were undelivered when their stream was emptied or went back to an older state; at most this many are lost.',
      registers,
    }),
    entriesVanished: new Counter({
      name: 'processor_entries_vanished_total',
      help: 'Pending entries deleted from the stream; they may not have been stored.',
      registers,
    }),
    ingestLatencySeconds: new Histogram({
      name: 'processor_ingest_latency_seconds',
      help: 'Time from XADD (entry id) until the fix is known to be stored; redelivered fixes count again.',
      buckets: ingestBuckets,
      registers,
    }),
    deviceStateSize: new Gauge({
      name: 'processor_device_state_size',
      help: 'Device states in memory.',
      registers,
    }),
    deviceStateEvictions: new Counter({
      name: 'processor_device_state_evictions_total',
      help: 'Device states evicted because of DEVICE_STATE_CAP.',
      registers,
    }),
    deviceStateLookUps: new Counter({
      name: 'processor_device_state_look_ups_total',
      help: 'Devices whose last fix was looked up in Postgres, by result.',
      labelNames: ['result'] as const,
      registers,
    }),
    pastLimitFixes: new Counter({
      name: 'processor_past_limit_fixes_total',
      help: 'Fixes older than PAST_LIMIT_MS, stored in positions_past_limit.',
      registers,
    }),
    fixQuality: new Counter({
      name: 'processor_fix_quality_total',
      help: 'Fixes with a quality flag, by flag.',
      labelNames: ['flag'] as const,
      registers,
    }),
    storedFixes: new Counter({
      name: 'processor_stored_fixes_total',
      help: 'Fixes of running events announced to their evaluators, by result.',
      labelNames: ['result'] as const,
      registers,
    }),
    evaluations: new Counter({
      name: 'processor_evaluations_total',
      help: 'Evaluations of running events, by result.',
      labelNames: ['result'] as const,
      registers,
    }),
    evaluationSeconds: new Histogram({
      name: 'processor_evaluation_seconds',
      help: 'Duration of an evaluation of a running event, failed ones included.',
      buckets: secondsBuckets,
      registers,
    }),
    devicesObserved: new Counter({
      name: 'processor_devices_observed_total',
      help: 'Devices of running events observed again from positions, by reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    dirtyDevices: new Gauge({
      name: 'processor_dirty_devices',
      help: 'Devices of running events to be observed again from positions.',
      registers,
    }),
    evaluationBehindSeconds: new Gauge({
      name: 'processor_evaluation_behind_seconds',
      help: 'Time since the results of an event followed from all that was known; of the running event furthest behind, 0 if none is evaluated here.',
      registers,
    }),
    resultChanges: new Counter({
      name: 'processor_result_changes_total',
      help: 'Result rows inserted, updated or deleted, by table.',
      labelNames: ['table'] as const,
      registers,
    }),
    raceProblems: new Gauge({
      name: 'processor_race_problems',
      help: 'Problems of running events that race control has to correct.',
      registers,
    }),
    eventsWithoutEvaluator: new Gauge({
      name: 'processor_events_without_evaluator',
      help: 'Running events that no replica evaluates.',
      registers,
    }),
    openSos: new Gauge({
      name: 'processor_open_sos',
      help: 'SOS of running events that no decision has resolved.',
      registers,
    }),
  };
}
