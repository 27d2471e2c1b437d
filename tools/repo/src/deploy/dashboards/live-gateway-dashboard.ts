import type { Dashboard } from './dashboard.ts';
import { processPanels, quantiles, rateBy, stat, timeSeries } from './panels.ts';

export const liveGatewayDashboard: Dashboard = {
  uid: 'live-tracking-gateway',
  title: 'Live gateway',
  job: 'live-gateway',
  rows: {
    Overview: [
      stat('Viewers', 'Open connections.', 'short', 'job:live_connections:sum'),
      stat(
        'Delivery latency (p95)',
        'From the stream to the socket. Includes up to 2 s at the lowest rates.',
        's',
        'job:live_delivery_latency_seconds:p95_5m',
        [2.5, 5],
      ),
      stat('Stream lag', 'Of the slowest gateway.', 's', 'max(live_stream_lag_seconds)', [2, 5]),
      stat(
        'Lagging connections',
        'Share of all connections. A few are normal.',
        'percentunit',
        'job:live_lagging_connections:ratio',
        [0.02, 0.05],
      ),
      stat(
        'Assignment age',
        'Of the gateway that is most out of date.',
        's',
        'max(live_assignment_age_seconds)',
        [90, 300],
      ),
      stat(
        'Time since newest entry',
        'Grows if the ingestion has stopped or writes to another key.',
        's',
        'max(min by (stream) (live_seconds_since_last_record))',
        [30, 120],
      ),
    ],
    Connections: [
      timeSeries(
        'Viewers',
        'Open connections per gateway. Uneven after a roll-out; evens out over time.',
        'short',
        { '{{instance}}': 'live_connections', all: 'job:live_connections:sum' },
      ),
      timeSeries('Subscriptions', 'Authorised and live.', 'short', {
        '{{instance}}': 'sum by (instance) (live_subscriptions)',
      }),
      rateBy(
        'result',
        'Upgrade requests',
        'full: add gateways. unauthorised, no_cookie, foreign_origin: check the page. unavailable: check Directus.',
        'live_upgrades_total',
      ),
      rateBy(
        'credential',
        'Admissions',
        'Connections opened, by the kind of credential.',
        'live_admissions_total',
      ),
      rateBy(
        'code',
        'Closed connections',
        '1001, 1006: by the client. 1011: a bug. 1012: roll-out. 4001: session ended. 4002: lagged. 4003: no pong.',
        'live_closes_total',
      ),
      rateBy(
        'type',
        'Client messages',
        'By type, or by the error that answered them.',
        'live_messages_received_total',
      ),
      rateBy(
        'outcome',
        'Resumes',
        'recovered: only changes were sent. Otherwise a snapshot, which costs more.',
        'live_resumes_total',
      ),
      quantiles('Snapshot size', 'Devices per snapshot.', 'live_snapshot_devices', 'short'),
    ],
    Latency: [
      quantiles('Delivery latency', 'From the stream to the socket.', 'live_delivery_latency_seconds'),
      quantiles(
        'Fix age',
        "From the tracker's clock to the socket, including mobile network and ingestion.",
        'live_fix_age_seconds',
      ),
      timeSeries('Stream lag', 'Age of the first entry not yet applied.', 's', {
        '{{instance}} {{stream}}': 'live_stream_lag_seconds',
      }),
      timeSeries('Tick duration', 'p99. A tick is due every 125 ms.', 's', {
        '{{instance}}': 'instance:live_fanout_tick_seconds:p99_5m',
      }),
      timeSeries('Clock skew', 'Difference from the time on which two of three clocks agree.', 's', {
        '{{instance}} {{clock}}': 'live_clock_skew_seconds',
      }),
      rateBy('result', 'Entries by result', 'Only newest is shown to viewers.', 'live_stream_entries_total'),
      timeSeries(
        'Unassigned devices',
        'Their records per second. Trackers in no event, or missing assignments.',
        'cps',
        { records: 'sum(rate(live_orphan_records_total[1m]))' },
      ),
    ],
    Results: [
      quantiles(
        'Results lag',
        'From their write to their delivery. About 2 s: announcements do not arrive.',
        'live_results_lag_seconds',
      ),
      rateBy(
        'source',
        'Revisions of results',
        'As announced, or read from the tables.',
        'live_results_revisions_total',
      ),
      rateBy(
        'reason',
        'Reads of results',
        'Of the tables. unannounced: Redis refuses announcements, or the gateway may not read them.',
        'live_results_reads_total',
      ),
    ],
    Output: [
      timeSeries('Bytes sent', 'Without frame headers.', 'Bps', {
        '{{instance}}': 'sum by (instance) (rate(live_bytes_sent_total[1m]))',
      }),
      timeSeries(
        'Positions and frames',
        'conflated: superseded before being sent. Dropped frames must be 0.',
        'cps',
        {
          positions: 'sum(rate(live_positions_sent_total[1m]))',
          'positions conflated': 'sum(rate(live_positions_conflated_total[1m]))',
          frames: 'sum(rate(live_frames_sent_total[1m]))',
          'frames dropped': 'sum(rate(live_dropped_frames_total[1m]))',
        },
      ),
      timeSeries('Lagging connections', 'With too much unread data.', 'short', {
        '{{instance}}': 'sum by (instance) (live_lagging_connections)',
      }),
    ],
    Authorisation: [
      timeSeries(
        'Directus requests',
        'user, nobody, allowed, forbidden are answers; the other outcomes are failures.',
        'cps',
        { '{{operation}} {{outcome}}': 'outcome:live_auth:rate5m' },
      ),
      quantiles(
        'Directus request duration',
        'Including time queued for a free slot.',
        'live_auth_duration_seconds',
      ),
      rateBy('result', 'Cache results', 'coalesced: joined another request.', 'live_auth_cache_total'),
      rateBy(
        'outcome',
        'Re-authorisations',
        'Periodic checks of live subscriptions.',
        'live_reauthorizations_total',
      ),
      rateBy(
        'outcome',
        'Sessions handed over',
        'Refreshed sessions on open connections. bad-ticket: do all replicas have the same LIVE_TICKET_KEY?',
        'live_reauthentications_total',
      ),
      rateBy(
        'outcome',
        'Suspension checks',
        'At admission. unchecked: Postgres did not answer, so Directus alone decided.',
        'live_suspension_checks_total',
      ),
      timeSeries(
        'Unconfirmed subscriptions',
        'Kept while Directus does not answer; closed after REAUTHORIZE_GRACE_MS.',
        'short',
        { '{{instance}}': 'sum by (instance) (live_unconfirmed_subscriptions)' },
      ),
      timeSeries('Assignment age', 'Assignments are read every 30 s.', 's', {
        '{{instance}}': 'live_assignment_age_seconds',
      }),
      timeSeries('Connections to drain', 'While a gateway stops; otherwise 0.', 'short', {
        '{{instance}}': 'live_drain_remaining',
      }),
    ],
    Process: processPanels('live-gateway'),
  },
};
