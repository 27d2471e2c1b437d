import type { Dashboard } from './dashboard.ts';
import { curves, number, processPanels, quantiles, rateBy } from './panels.ts';

/** Is every fix stored, and how soon? From the question of the day at the top to the machine at the bottom. */
export const processorDashboard: Dashboard = {
  uid: 'live-tracking-processor',
  title: 'Processor: is every fix stored?',
  job: 'processor',
  rows: [
    {
      title: 'Is all well?',
      panels: [
        number(
          {
            title: 'Newest record',
            description: 'How long ago. The ingestion is silent, or writes another key, when this grows.',
            unit: 's',
            limits: [30, 120],
          },
          'max(stream:processor_seconds_since_last_record:min)',
        ),
        number(
          { title: 'Lag', description: 'Age of the first record not yet read.', unit: 's', limits: [5, 30] },
          'max(stream:processor_consumer_lag_seconds:max)',
        ),
        number(
          {
            title: 'Room before trimming',
            description:
              'How far the reader is from the end that is trimmed. Small and with a lag: loss is near.',
            unit: 's',
            limits: [3600, 900],
          },
          'min(stream:processor_trim_headroom_seconds:min)',
        ),
        number(
          {
            title: 'Lost in 24 hours',
            description: 'Trimmed before they were read. Must be 0.',
            unit: 'short',
            limits: [1, 1],
          },
          'sum(increase(processor_entries_lost_total[24h]))',
        ),
        number(
          {
            title: 'Dead letters in 24 hours',
            description: 'Parked with their reason. A handful is normal; look at the reasons below.',
            unit: 'short',
            limits: [1, 100],
          },
          'sum(increase(processor_dead_letters_total[24h]))',
        ),
        number(
          {
            title: 'Dead-letter stream',
            description: 'How full it is. What falls out of it is gone.',
            unit: 'percentunit',
            limits: [0.5, 0.8],
          },
          'max(processor_dead_letter_fill_ratio)',
        ),
      ],
    },
    {
      title: 'In',
      panels: [
        curves(
          { title: 'Records', description: 'Read a second; redeliveries are counted again.', unit: 'cps' },
          { expr: 'sum by (instance) (rate(processor_consumer_records_total[1m]))', legend: '{{instance}}' },
        ),
        curves(
          { title: 'Lag', description: 'Age of the first record not yet read.', unit: 's' },
          { expr: 'stream:processor_consumer_lag_seconds:max', legend: '{{stream}}' },
        ),
        curves(
          {
            title: 'Entries waiting',
            description: 'Not read yet; no curve where Redis cannot tell.',
            unit: 'short',
          },
          { expr: 'max by (stream) (processor_consumer_lag)', legend: '{{stream}}' },
        ),
        rateBy(
          'result',
          {
            title: 'Reads',
            description:
              'By what they brought. deadline, error: Redis. claimed: another processor has left work.',
          },
          'processor_consumer_reads_total',
        ),
        curves(
          {
            title: 'Room before trimming',
            description: 'Between the oldest entry kept and the first one not read.',
            unit: 's',
          },
          { expr: 'stream:processor_trim_headroom_seconds:min', legend: '{{stream}}' },
        ),
        curves(
          { title: 'Newest record', description: 'How long ago it came.', unit: 's' },
          { expr: 'stream:processor_seconds_since_last_record:min', legend: '{{stream}}' },
        ),
      ],
    },
    {
      title: 'Stored',
      panels: [
        curves(
          {
            title: 'Fixes',
            description: 'duplicate: there already, after a redelivery or a tracker that repeats itself.',
            unit: 'cps',
          },
          { expr: 'status:processor_position_writes:rate5m', legend: '{{status}}' },
        ),
        quantiles(
          { title: 'From the stream to the commit', description: 'What a fix waits until it is safe.' },
          'processor_ingest_latency_seconds',
        ),
        quantiles(
          { title: 'One insert', description: 'If this grows, ask Postgres.' },
          'processor_position_write_duration_seconds',
        ),
        rateBy(
          'class',
          {
            title: 'Insert retries',
            description:
              'deadline, connection, or the first two characters of the SQLSTATE. Nothing is lost by it.',
          },
          'processor_write_retries_total',
        ),
        curves(
          {
            title: 'Pending',
            description: 'Delivered and not acknowledged yet; all of it comes again after a crash.',
            unit: 'short',
          },
          { expr: 'max by (stream) (processor_consumer_pending)', legend: '{{stream}}' },
        ),
        curves(
          {
            title: 'Oldest pending',
            description: 'Its age. Minutes: something does not go forward.',
            unit: 's',
          },
          { expr: 'stream:processor_consumer_oldest_pending_seconds:max', legend: '{{stream}}' },
        ),
        curves(
          { title: 'Acknowledged and taken over', description: 'A second.', unit: 'cps' },
          { expr: 'sum(rate(processor_acks_total[1m]))', legend: 'acknowledged' },
          { expr: 'sum(rate(processor_entries_claimed_total[1m]))', legend: 'taken over' },
        ),
      ],
    },
    {
      title: 'Not stored',
      panels: [
        rateBy(
          'reason',
          { title: 'Dead letters', description: 'By reason; docs/operations.md says how to replay them.' },
          'processor_dead_letters_total',
        ),
        rateBy(
          'reason',
          { title: 'Undecodable', description: 'A new firmware, or a foreign producer.' },
          'processor_consumer_decode_errors_total',
        ),
        curves(
          {
            title: 'Lost and vanished',
            description: 'Lost: trimmed unread. Vanished: delivered once, then deleted from the stream.',
            unit: 'short',
          },
          { expr: 'sum(increase(processor_entries_lost_total[5m]))', legend: 'lost' },
          { expr: 'sum(increase(processor_entries_vanished_total[5m]))', legend: 'vanished' },
        ),
      ],
    },
    {
      title: 'What the trackers send',
      panels: [
        rateBy(
          'flag',
          { title: 'Flagged fixes', description: 'Stored, and never shown. no_fix: no satellites in sight.' },
          'processor_fix_quality_total',
        ),
        curves(
          { title: 'Devices in memory', description: 'Those whose state is kept.', unit: 'short' },
          { expr: 'sum(processor_device_state_size)', legend: 'kept' },
          { expr: 'sum(increase(processor_device_state_evictions_total[5m]))', legend: 'evicted in 5 min' },
        ),
      ],
    },
    { title: 'Process', panels: processPanels('processor') },
  ],
};
