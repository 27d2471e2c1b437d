import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetrics } from '../src/metrics.ts';

test('the documented metrics and types are exactly the registered ones', async () => {
  const registry = new Registry();
  createMetrics(registry);
  const registered = (await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]);
  const documented = await documentedMetrics('Processor', 'processor_');
  expect(documented.length).toBeGreaterThan(20);
  expect(new Map(documented.map(({ name, type }) => [name, type]))).toEqual(
    new Map(registered.map(([name = '', type = '']) => [name, type])),
  );
});
