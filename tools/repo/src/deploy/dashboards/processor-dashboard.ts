import type { Dashboard } from './dashboard.ts';
import { processPanels, quantiles, rateBy, stat, timeSeries } from './panels.ts';

export const processorDashboard: Dashboard = {
  uid: 'live-tracking-processor',
  title: 'Processor',
  job: 'processor',
  rows: {
    Overview: [
      stat(
        'Time since newest entry',
        'Grows if the ingestion has stopped or writes to another key.',
        's',
        'max(stream:processor_seconds_since_last_record:min)',
        [30, 120],
      ),
      stat(
        'Lag',
        'Age of the first undelivered entry.',
        's',
        'max(stream:processor_consumer_lag_seconds:max)',
        [5, 30],
      ),
      stat(
        'Headroom before trimming',
        'Time from the oldest entry to the first undelivered one. Small while lagging: entries will be lost.',
        's',
        'min(stream:processor_trim_headroom_seconds:min)',
        [3600, 900],
      ),
      stat(
        'Entries lost in 24 h',
        'Trimmed or deleted before delivery. Must be 0.',
        'short',
        'max(increase(processor_entries_lost_total[24h]))',
        [1, 1],
      ),
      stat(
        'Dead letters in 24 h',
        'A few are normal. The reasons are below.',
        'short',
        'sum(increase(processor_dead_letters_total[24h]))',
        [1, 100],
      ),
      stat(
        'Dead-letter stream fill',
        'Share of DLQ_MAX_LENGTH. At 100 % entries that need a dead letter wait.',
        'percentunit',
        'max(processor_dead_letter_fill_ratio)',
        [0.5, 0.8],
      ),
    ],
    Input: [
      timeSeries('Entries read', 'Per second, including redeliveries.', 'cps', {
        '{{instance}}': 'sum by (instance) (rate(processor_consumer_records_total[1m]))',
      }),
      timeSeries('Lag', 'Age of the first undelivered entry.', 's', {
        '{{stream}}': 'stream:processor_consumer_lag_seconds:max',
      }),
      timeSeries('Undelivered entries', 'Empty if Redis does not know.', 'short', {
        '{{stream}}': 'max by (stream) (processor_consumer_lag)',
      }),
      rateBy(
        'result',
        'Reads by result',
        'deadline, error: Redis does not answer or refuses. claimed: entries of another consumer.',
        'processor_consumer_reads_total',
      ),
      timeSeries(
        'Headroom before trimming',
        'Time from the oldest entry to the first undelivered one.',
        's',
        { '{{stream}}': 'stream:processor_trim_headroom_seconds:min' },
      ),
      timeSeries('Clock skew', 'Difference from the time on which two of three clocks agree.', 's', {
        '{{clock}}': 'max by (clock) (abs(processor_clock_skew_seconds))',
      }),
      timeSeries('Time since newest entry', 'Per stream.', 's', {
        '{{stream}}': 'stream:processor_seconds_since_last_record:min',
      }),
    ],
    Storage: [
      timeSeries(
        'Fixes by status',
        'duplicate: stored already, after a redelivery or sent twice by the tracker.',
        'cps',
        { '{{status}}': 'status:processor_position_writes:rate5m' },
      ),
      quantiles(
        'Ingest latency',
        'From arrival in the stream to the commit.',
        'processor_ingest_latency_seconds',
      ),
      quantiles('Insert duration', 'Grows if Postgres is slow.', 'processor_position_write_duration_seconds'),
      rateBy(
        'class',
        'Insert retries',
        'deadline, connection, or the first two characters of the SQLSTATE. Retries lose nothing.',
        'processor_write_retries_total',
      ),
      timeSeries('Pending entries', 'Delivered and not acknowledged. Redelivered after a crash.', 'short', {
        '{{stream}}': 'max by (stream) (processor_consumer_pending)',
      }),
      timeSeries('Oldest pending entry', 'Its age. Minutes mean that processing is stuck.', 's', {
        '{{stream}}': 'stream:processor_consumer_oldest_pending_seconds:max',
      }),
      timeSeries('Acknowledged and claimed', 'Entries per second.', 'cps', {
        acknowledged: 'sum(rate(processor_acks_total[1m]))',
        claimed: 'sum(rate(processor_entries_claimed_total[1m]))',
      }),
    ],
    'Not stored': [
      rateBy(
        'reason',
        'Dead letters by reason',
        'docs/dead-letters.md explains the reasons and how to replay.',
        'processor_dead_letters_total',
      ),
      timeSeries(
        'Dead letters waiting or trimmed',
        'waiting: cannot be written; their entries stay pending. trimmed: deleted by DLQ_WHEN_FULL=trim. stopped: 1 while most entries are rejected.',
        'short',
        {
          stopped: 'max by (stream) (processor_stream_stopped)',
          waiting: 'max by (stream) (processor_dead_letters_waiting)',
          trimmed: 'sum by (stream) (increase(processor_dead_letters_trimmed_total[5m]))',
        },
      ),
      rateBy(
        'reason',
        'Decode errors',
        'New firmware, or a producer with another format.',
        'processor_consumer_decode_errors_total',
      ),
      timeSeries(
        'Lost and vanished entries',
        'lost: trimmed or deleted before delivery; at most: the stream was emptied. vanished: deleted while pending.',
        'short',
        {
          lost: 'max(increase(processor_entries_lost_total[5m]))',
          'lost at most': 'max(increase(processor_entries_lost_at_most_total[5m]))',
          vanished: 'sum(increase(processor_entries_vanished_total[5m]))',
        },
      ),
    ],
    Trackers: [
      rateBy(
        'flag',
        'Flagged fixes',
        'Stored but not shown. no_fix: no satellites in view.',
        'processor_fix_quality_total',
      ),
      timeSeries(
        'Fixes past the limit',
        'Older than PAST_LIMIT_MS: trackers whose clock is wrong.',
        'short',
        {
          'in 5 min': 'sum(increase(processor_past_limit_fixes_total[5m]))',
        },
      ),
      timeSeries('Device states', 'Devices whose state is in memory.', 'short', {
        'in memory': 'sum(processor_device_state_size)',
        'evicted in 5 min': 'sum(increase(processor_device_state_evictions_total[5m]))',
        'looked up in 5 min': 'sum(increase(processor_device_state_look_ups_total[5m]))',
        'not found in time in 5 min':
          'sum(increase(processor_device_state_look_ups_total{result="failed"}[5m]))',
      }),
    ],
    Results: [
      timeSeries(
        'Results behind',
        'Time since the results of a running event followed from all that was known.',
        's',
        { 'furthest behind': 'max(processor_evaluation_behind_seconds)' },
      ),
      timeSeries(
        'Dirty devices',
        'To be observed again from positions, and those observed again in 5 min.',
        'short',
        {
          dirty: 'sum(processor_dirty_devices)',
          '{{reason}}': 'sum by (reason) (increase(processor_devices_observed_total[5m]))',
        },
      ),
      quantiles('Evaluation duration', 'Of one event.', 'processor_evaluation_seconds'),
      rateBy('result', 'Evaluations', 'A failed one is repeated.', 'processor_evaluations_total'),
      rateBy(
        'table',
        'Result changes',
        'Rows inserted, updated or deleted.',
        'processor_result_changes_total',
      ),
      rateBy(
        'result',
        'Announced fixes',
        'refused: Redis is full; the devices are marked in Postgres instead.',
        'processor_stored_fixes_total',
      ),
      timeSeries('Race control', 'What race control has to look at.', 'short', {
        'open SOS': 'sum(processor_open_sos)',
        'problems of the course': 'sum(processor_race_problems)',
        'events without evaluator': 'max(processor_events_without_evaluator)',
      }),
    ],
    Process: processPanels('processor'),
  },
};
