import type { Logger } from '@app/runtime/log';
import type { GatewayConfig } from './config.ts';
import { Clients } from './connection/clients.ts';
import { FanOut } from './fanout/fan-out.ts';
import { newEpoch } from './feed/epoch.ts';
import { StreamCursor } from './feed/stream-cursor.ts';
import { Timeline } from './feed/timeline.ts';
import { LatestFixes } from './latest/latest-fixes.ts';
import { meterFanOut } from './meters.ts';
import type { Metrics } from './metrics.ts';
import { WatchedEvents } from './results/watched-events.ts';
import { Readiness, readinessConditions } from './server/readiness.ts';
import { SubscriptionRegistry } from './subscriptions/subscription-registry.ts';

/** What the gateway holds in memory and its loops and connections share. */
export type GatewayState = ReturnType<typeof createGatewayState>;

export function createGatewayState(
  config: GatewayConfig,
  metrics: Metrics,
  log: Logger,
  nowMs: () => number,
) {
  const streams = config.REDIS_TELEMETRY_STREAM;
  const latest = new LatestFixes(config.LIVE_MAX_FIX_AGE_MS);
  const cursors = streams.map((stream) => new StreamCursor(stream));
  const timeline = new Timeline(cursors, () => newEpoch(nowMs()));
  const registry = new SubscriptionRegistry({
    latest,
    streamOffset: () => timeline.streamOffset,
    onConflated: (positions) => metrics.positionsConflated.inc(positions),
  });
  return {
    latest,
    clients: new Clients({
      maxPerUser: config.LIVE_MAX_CONNECTIONS_PER_USER,
      maxAnonymousPerAddress: config.LIVE_ANONYMOUS_PER_ADDRESS,
    }),
    cursors,
    timeline,
    registry,
    watchedResults: new WatchedEvents(() => performance.now()),
    fanOut: new FanOut({
      registry,
      latest,
      meter: meterFanOut(metrics),
      nowMs,
      ...(!config.LIVE_COMPRESSION && { minDeflatedRecipients: Infinity }),
    }),
    readiness: new Readiness(
      [
        readinessConditions.assigned,
        readinessConditions.hydrated,
        ...streams.map(readinessConditions.caughtUp),
      ],
      () => log.info('ready'),
    ),
  };
}
