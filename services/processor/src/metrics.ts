import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** The processor's metrics, one field each; names and labels are a contract with the dashboards. */
export type Metrics = ReturnType<typeof createMetrics>;

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
// From an entry's id to its commit: from a quiet loop's milliseconds to the backlog of an outage.
const ingestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

/** Creates and registers every metric of the processor. */
export function createMetrics(registry: Registry) {
  const registers = [registry];
  const perStream = ['stream'] as const;
  return {
    reads: new Counter({
      name: 'processor_consumer_reads_total',
      help: 'Reads of the stream, by what they brought.',
      labelNames: ['result'] as const,
      registers,
    }),
    records: new Counter({
      name: 'processor_consumer_records_total',
      help: 'Entries delivered to this consumer, redeliveries included.',
      registers,
    }),
    lag: new Gauge({
      name: 'processor_consumer_lag',
      help: 'Entries not yet delivered to the group; NaN where Redis cannot tell.',
      labelNames: perStream,
      registers,
    }),
    lagSeconds: new Gauge({
      name: 'processor_consumer_lag_seconds',
      help: 'Age of the first entry not yet delivered to the group; 0 if there is none.',
      labelNames: perStream,
      registers,
    }),
    trimHeadroomSeconds: new Gauge({
      name: 'processor_trim_headroom_seconds',
      help: 'Time between the oldest entry kept and the first one not yet delivered; near 0, entries are about to be trimmed unread.',
      labelNames: perStream,
      registers,
    }),
    pending: new Gauge({
      name: 'processor_consumer_pending',
      help: 'Entries delivered to the group and not yet acknowledged.',
      labelNames: perStream,
      registers,
    }),
    oldestPendingSeconds: new Gauge({
      name: 'processor_consumer_oldest_pending_seconds',
      help: 'Age of the oldest entry not yet acknowledged; 0 if there is none.',
      labelNames: perStream,
      registers,
    }),
    secondsSinceLastRecord: new Gauge({
      name: 'processor_seconds_since_last_record',
      help: 'Time since the newest entry of the stream; NaN where there never was one.',
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
      help: 'Fixes that reached the database, by what became of them.',
      labelNames: ['status'] as const,
      registers,
    }),
    writeDurationSeconds: new Histogram({
      name: 'processor_position_write_duration_seconds',
      help: 'Duration of one insert statement, failed ones included.',
      buckets: secondsBuckets,
      registers,
    }),
    writeRetries: new Counter({
      name: 'processor_write_retries_total',
      help: 'Inserts tried again, by the class of the error.',
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
      help: 'Length of the dead-letter stream in relation to DLQ_MAX_LENGTH.',
      labelNames: perStream,
      registers,
    }),
    acks: new Counter({
      name: 'processor_acks_total',
      help: 'Entries whose acknowledgement Redis has answered.',
      registers,
    }),
    entriesClaimed: new Counter({
      name: 'processor_entries_claimed_total',
      help: 'Entries taken over from a consumer that left them.',
      registers,
    }),
    entriesLost: new Counter({
      name: 'processor_entries_lost_total',
      help: 'Entries trimmed or deleted before they were ever delivered. Page someone.',
      registers,
    }),
    entriesVanished: new Counter({
      name: 'processor_entries_vanished_total',
      help: 'Entries pending, but deleted from the stream: perhaps stored, perhaps not.',
      registers,
    }),
    ingestLatencySeconds: new Histogram({
      name: 'processor_ingest_latency_seconds',
      help: 'From XADD (the entry id) to the commit in Postgres.',
      buckets: ingestBuckets,
      registers,
    }),
    deviceStateSize: new Gauge({
      name: 'processor_device_state_size',
      help: 'Devices whose state is in memory.',
      registers,
    }),
    deviceStateEvictions: new Counter({
      name: 'processor_device_state_evictions_total',
      help: 'Device states dropped from memory to stay under DEVICE_STATE_CAP.',
      registers,
    }),
    fixQuality: new Counter({
      name: 'processor_fix_quality_total',
      help: 'Fixes with a quality flag, by flag.',
      labelNames: ['flag'] as const,
      registers,
    }),
  };
}
