import type { ClockMonitor } from '@app/runtime/clock-monitor';
import { Gauge } from 'prom-client';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { StreamCursor } from './feed/stream-cursor.ts';
import type { Readiness } from './server/readiness.ts';
import type { Clients } from './connection/clients.ts';
import type { WatchedEvents } from './results/watched-events.ts';
import type { Reauthorizer } from './subscriptions/reauthorizer.ts';
import type { SubscriptionRegistry } from './subscriptions/subscription-registry.ts';

/** Registers the gauges that are read from the gateway's state at each scrape. */
export function registerStateGauges(
  metricsRegistry: MetricsRegistry,
  state: {
    readonly clients: Pick<Clients, 'size'>;
    readonly registry: Pick<SubscriptionRegistry, 'subscriptionCount' | 'assignedAtMs'>;
    readonly watchedResults: Pick<WatchedEvents, 'subscriptionCount'>;
    readonly reauthorizer: Pick<Reauthorizer, 'unconfirmed'>;
    readonly readiness: Pick<Readiness, 'isDraining'>;
    readonly cursors: readonly Pick<StreamCursor, 'stream' | 'lastEntryAtMs'>[];
    readonly clocks: Pick<ClockMonitor, 'ageMs' | 'nowMs'>;
  },
): void {
  const { clients, registry, watchedResults, reauthorizer, readiness, cursors, clocks } = state;
  const gauge = (metric: string, help: string, read: () => number): void =>
    metricsRegistry.registerMetric(
      new Gauge({
        name: metric,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  gauge('live_connections', 'Open connections.', () => clients.size);
  gauge(
    'live_subscriptions',
    'Authorised subscriptions.',
    () => registry.subscriptionCount + watchedResults.subscriptionCount,
  );
  gauge('live_drain_remaining', 'Connections still to be closed while draining; 0 otherwise.', () =>
    readiness.isDraining ? clients.size : 0,
  );
  gauge(
    'live_assignment_age_seconds',
    'Seconds since the assignments were last read from Postgres; NaN before the first read.',
    () => (clocks.nowMs() - registry.assignedAtMs) / 1000,
  );
  gauge(
    'live_unconfirmed_subscriptions',
    'Subscriptions whose reauthorisation is overdue because Directus is unavailable.',
    () => reauthorizer.unconfirmed,
  );
  const sinceLastEntry = new Gauge({
    name: 'live_seconds_since_last_record',
    help: 'Seconds since the newest entry was added to the stream; NaN if it never had one, cannot be read, or its id is ahead of the clock.',
    labelNames: ['stream'] as const,
    registers: [],
    collect() {
      for (const { stream, lastEntryAtMs } of cursors)
        this.set({ stream }, clocks.ageMs(lastEntryAtMs) / 1000);
    },
  });
  metricsRegistry.registerMetric(sinceLastEntry);
}
