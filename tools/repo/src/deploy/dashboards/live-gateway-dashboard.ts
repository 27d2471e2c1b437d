import type { Dashboard } from './dashboard.ts';
import { curves, number, processPanels, quantiles, rateBy } from './panels.ts';

/** Does everyone see the race? From the question of the day at the top to the machine at the bottom. */
export const liveGatewayDashboard: Dashboard = {
  uid: 'live-tracking-gateway',
  title: 'Live gateway: does everyone see the race?',
  job: 'live-gateway',
  rows: [
    {
      title: 'Is all well?',
      panels: [
        number(
          { title: 'Viewers', description: 'Open connections.', unit: 'short' },
          'job:live_connections:sum',
        ),
        number(
          {
            title: 'From the stream to the screen',
            description:
              'What the slowest twentieth waits, up to the socket. 2 s of it can be wanted: slow rates.',
            unit: 's',
            limits: [2.5, 5],
          },
          'job:live_delivery_latency_seconds:p95_5m',
        ),
        number(
          {
            title: 'Behind the stream',
            description: 'The worst gateway. Its viewers see the past.',
            unit: 's',
            limits: [2, 5],
          },
          'max(live_stream_lag_seconds)',
        ),
        number(
          {
            title: 'Slow viewers',
            description: 'Their share. A few are normal.',
            unit: 'percentunit',
            limits: [0.02, 0.05],
          },
          'job:live_lagging_connections:ratio',
        ),
        number(
          {
            title: 'Assignments',
            description: 'How old what the worst gateway knows of devices and events is.',
            unit: 's',
            limits: [90, 300],
          },
          'max(live_assignment_age_seconds)',
        ),
        number(
          {
            title: 'Newest record',
            description: 'How long ago. The ingestion is silent, or writes another key, when this grows.',
            unit: 's',
            limits: [30, 120],
          },
          'max(min by (stream) (live_seconds_since_last_record))',
        ),
      ],
    },
    {
      title: 'Who watches',
      panels: [
        curves(
          {
            title: 'Viewers',
            description: 'By gateway. Uneven after a roll-out, and evens out.',
            unit: 'short',
          },
          { expr: 'live_connections', legend: '{{instance}}' },
          { expr: 'job:live_connections:sum', legend: 'all' },
        ),
        curves(
          { title: 'Subscriptions', description: 'Authorised and live.', unit: 'short' },
          { expr: 'sum by (instance) (live_subscriptions)', legend: '{{instance}}' },
        ),
        rateBy(
          'result',
          {
            title: 'Who wants in',
            description:
              'full: add gateways. unauthorised, no_cookie, foreign_origin: whose page? unavailable: Directus.',
          },
          'live_upgrades_total',
        ),
        rateBy(
          'code',
          {
            title: 'Who goes',
            description:
              '1001, 1006: they went. 1012: a roll-out. 4002, 4003: too slow, silent. 4001: the session is over.',
          },
          'live_closes_total',
        ),
        rateBy(
          'type',
          { title: 'What viewers say', description: 'By message, or by the error that answered it.' },
          'live_messages_received_total',
        ),
        rateBy(
          'outcome',
          {
            title: 'Who comes back',
            description: 'recovered: got what it had missed. Else a whole snapshot, which costs more.',
          },
          'live_resumes_total',
        ),
        quantiles(
          { title: 'Devices in a snapshot', description: 'How big the events are that are opened.' },
          'live_snapshot_devices',
          'short',
        ),
      ],
    },
    {
      title: 'How soon they see it',
      panels: [
        quantiles(
          { title: 'From the stream to the socket', description: 'What the gateway itself takes.' },
          'live_delivery_latency_seconds',
        ),
        quantiles(
          {
            title: 'Age of a fix at the socket',
            description: 'By the clocks of the trackers: the radio network and the ingestion are in it.',
          },
          'live_fix_age_seconds',
        ),
        curves(
          { title: 'Behind the stream', description: 'Age of the first entry not yet applied.', unit: 's' },
          { expr: 'live_stream_lag_seconds', legend: '{{instance}} {{stream}}' },
        ),
        curves(
          {
            title: 'Longest ticks',
            description: 'The slowest hundredth; one is due each 125 ms.',
            unit: 's',
          },
          { expr: 'instance:live_fanout_tick_seconds:p99_5m', legend: '{{instance}}' },
        ),
        rateBy(
          'result',
          {
            title: 'Entries of the stream',
            description: 'By what became of them; only newest moves a marker.',
          },
          'live_stream_entries_total',
        ),
        curves(
          {
            title: 'Devices of no event',
            description:
              'Their records a second. Trackers that nobody assigned, or assignments that are missing.',
            unit: 'cps',
          },
          { expr: 'sum(rate(live_orphan_records_total[1m]))', legend: 'records' },
        ),
      ],
    },
    {
      title: 'What goes out',
      panels: [
        curves(
          { title: 'Bytes', description: 'Without headers.', unit: 'Bps' },
          { expr: 'sum by (instance) (rate(live_bytes_sent_total[1m]))', legend: '{{instance}}' },
        ),
        curves(
          {
            title: 'Positions and frames',
            description:
              'replaced: a newer position came before they were written. Dropped frames must be 0.',
            unit: 'cps',
          },
          { expr: 'sum(rate(live_positions_sent_total[1m]))', legend: 'positions' },
          { expr: 'sum(rate(live_positions_conflated_total[1m]))', legend: 'positions replaced' },
          { expr: 'sum(rate(live_frames_sent_total[1m]))', legend: 'frames' },
          { expr: 'sum(rate(live_dropped_frames_total[1m]))', legend: 'frames dropped' },
        ),
        curves(
          { title: 'Slow viewers', description: 'Behind with what they were sent.', unit: 'short' },
          { expr: 'sum by (instance) (live_lagging_connections)', legend: '{{instance}}' },
        ),
      ],
    },
    {
      title: 'Who may watch',
      panels: [
        curves(
          {
            title: 'Answers of Directus',
            description: 'user, nobody, allowed, denied are answers; the rest is trouble.',
            unit: 'cps',
          },
          { expr: 'outcome:live_auth:rate5m', legend: '{{operation}} {{outcome}}' },
        ),
        quantiles(
          { title: 'How long it takes', description: 'The wait for a turn included.' },
          'live_auth_duration_seconds',
        ),
        rateBy(
          'result',
          {
            title: 'Where answers come from',
            description: 'hit: from memory; coalesced: with another question.',
          },
          'live_auth_cache_total',
        ),
        rateBy(
          'outcome',
          { title: 'Asked again', description: 'Whether those who watch still may.' },
          'live_reauthorizations_total',
        ),
        curves(
          {
            title: 'Not confirmed',
            description:
              'Subscriptions kept although Directus does not answer; cut after REAUTHORIZE_GRACE_MS.',
            unit: 'short',
          },
          { expr: 'sum by (instance) (live_unconfirmed_subscriptions)', legend: '{{instance}}' },
        ),
        curves(
          { title: 'Assignments', description: 'Age of what is known. Asked for each 30 s.', unit: 's' },
          { expr: 'live_assignment_age_seconds', legend: '{{instance}}' },
        ),
        curves(
          {
            title: 'Still to be sent away',
            description: 'While a gateway stops; 0 otherwise.',
            unit: 'short',
          },
          { expr: 'live_drain_remaining', legend: '{{instance}}' },
        ),
      ],
    },
    { title: 'Process', panels: processPanels('live-gateway') },
  ],
};
