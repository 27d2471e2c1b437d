import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { MetricsSeen, whatIsMissing } from '@app/test-kit/metrics-seen';
import { readMetric } from '@app/test-kit/read-metric';
import { expect, test } from 'vitest';
import { driveGateway } from './support/drive-gateway.ts';
import { openFixture } from './support/open-fixture.ts';

test('every documented metric moves when the gateway is driven', { timeout: 120_000 }, async () => {
  await using fixture = await openFixture();
  const { eventId, devices } = await fixture.addEvent(2);
  const env = {
    DIRECTUS_AUTH_TIMEOUT_MS: '1000',
    DIRECTUS_AUTHZ_TIMEOUT_MS: '1000',
    AUTHZ_CACHE_TTL_MS: '1000',
    REAUTHORIZE_INTERVAL_MS: '300',
    REAUTHORIZE_GRACE_MS: '1500',
    LIVE_TICKET_KEY: 'a key that all replicas of this test share',
    LIVE_ANONYMOUS_PER_ADDRESS: '1',
    LIVE_BEARER_TOKENS: 'on',
    LIVE_MAX_CONNECTIONS_PER_USER: '2',
    LIVE_MAX_SUBSCRIPTIONS: '2',
    LIVE_WS_PING_INTERVAL_MS: '2000',
    LIVE_MESSAGE_RATE_PER_S: '20',
    LIVE_BROADCAST_BATCH_SIZE: '1',
    LIVE_UNANSWERED_BYTES: '4096',
    LIVE_WS_DRAIN_NOTICE_MS: '2000',
    LIVE_WS_DRAIN_TIMEOUT_MS: '1000',
  };
  const gateway = await fixture.start({ env });
  await gateway.ready();
  const seen = new MetricsSeen('live_');
  const scrape = async (): Promise<void> => {
    seen.add(await (await fetch(`${gateway.opsUrl}/metrics`)).text());
  };
  const driven = { fixture, gateway, eventId, topic: `event:${eventId}`, devices, seen, scrape };
  await driveGateway(driven);

  const documented = await documentedMetrics('Live gateway', 'live_');
  const missing = documented.flatMap((metric) => whatIsMissing(metric, seen.text));
  // Its only correct value is 0.
  expect(missing).toEqual(['live_dropped_frames_total was never moved']);

  // Some exact values.
  expect(readMetric(seen.text, 'live_upgrades_total', { result: 'aborted' })).toBe(1);
  expect(readMetric(seen.text, 'live_upgrades_total', { result: 'full' })).toBe(1);
  expect(readMetric(seen.text, 'live_closes_total', { code: '4403' })).toBe(2);
  expect(readMetric(seen.text, 'live_closes_total', { code: 'other' })).toBe(1);
  expect(readMetric(seen.text, 'live_messages_received_total', { type: 'update' })).toBe(1);
});
