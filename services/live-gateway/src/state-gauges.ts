import { Gauge } from 'prom-client';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { StreamCursor } from './feed/stream-cursor.ts';
import type { Readiness } from './server/readiness.ts';
import type { Clients } from './connection/clients.ts';
import type { Reauthorizer } from './subscriptions/reauthorizer.ts';
import type { SubscriptionRegistry } from './subscriptions/subscription-registry.ts';

/** Registers the gauges that show, whenever they are scraped, what the gateway's parts say of themselves. */
export function registerStateGauges(
  metricsRegistry: MetricsRegistry,
  parts: {
    readonly clients: Pick<Clients, 'size'>;
    readonly registry: Pick<SubscriptionRegistry, 'subscriptionCount' | 'assignedAtMs'>;
    readonly reauthorizer: Pick<Reauthorizer, 'unconfirmed'>;
    readonly readiness: Pick<Readiness, 'isDraining'>;
    readonly places: readonly Pick<StreamCursor, 'stream' | 'lastRecordAtMs'>[];
    readonly nowMs: () => number;
  },
): void {
  const { clients, registry, reauthorizer, readiness, places, nowMs } = parts;
  const scraped = (metric: string, help: string, read: () => number): void =>
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
  scraped('live_connections', 'Open connections.', () => clients.size);
  scraped(
    'live_subscriptions',
    'Subscriptions that are authorised and live.',
    () => registry.subscriptionCount,
  );
  scraped(
    'live_drain_remaining',
    'Connections still to be sent away while the gateway drains; 0 otherwise.',
    () => (readiness.isDraining ? clients.size : 0),
  );
  scraped(
    'live_assignment_age_seconds',
    'Time since the assignments were last read from Postgres; NaN before the first time.',
    () => (nowMs() - registry.assignedAtMs) / 1000,
  );
  scraped(
    'live_unconfirmed_subscriptions',
    'Subscriptions that are kept although Directus could not confirm them when that was due.',
    () => reauthorizer.unconfirmed,
  );
  const sinceLastRecord = new Gauge({
    name: 'live_seconds_since_last_record',
    help: 'Time since the newest entry of the stream; NaN where there never was one.',
    labelNames: ['stream'] as const,
    registers: [],
    collect() {
      for (const { stream, lastRecordAtMs } of places)
        this.set({ stream }, (nowMs() - lastRecordAtMs) / 1000);
    },
  });
  metricsRegistry.registerMetric(sinceLastRecord);
}
