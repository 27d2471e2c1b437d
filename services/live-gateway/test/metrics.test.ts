import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetrics } from '../src/metrics.ts';
import { registerStateGauges } from '../src/state-gauges.ts';

test('the gateway registers exactly the documented metrics, with their types', async () => {
  const registry = new Registry();
  createMetrics(registry);
  registerStateGauges(registry, {
    clients: { size: 0 },
    registry: { subscriptionCount: 0, assignedAtMs: 0 },
    watchedResults: { subscriptionCount: 0 },
    reauthorizer: { unconfirmed: 0 },
    readiness: { isDraining: false },
    cursors: [],
    clocks: { nowMs: () => 0, ageMs: () => 0 },
  });
  const registered = (await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]);
  const documented = await documentedMetrics('Live gateway', 'live_');
  expect(documented.length).toBeGreaterThan(20);
  expect(new Map(documented.map(({ name, type }) => [name, type]))).toEqual(
    new Map(registered.map(([name = '', type = '']) => [name, type])),
  );
});
