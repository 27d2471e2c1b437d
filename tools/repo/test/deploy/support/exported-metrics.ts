import { createMetrics as createGatewayMetrics } from '@app/live-gateway/metrics';
import { registerStateGauges } from '@app/live-gateway/state-gauges';
import { createMetrics as createProcessorMetrics } from '@app/processor/metrics';
import { registerBuildInfo } from '@app/runtime/build-info';
import { Registry } from 'prom-client';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';

export interface ExportedMetric {
  /** As the service calls it; a histogram's series end with `_bucket`, `_sum`, `_count`. */
  readonly name: string;
  readonly labels: ReadonlySet<string>;
}

/** By the name of each series that `/metrics` of the two services can have, what it is. */
export async function exportedMetrics(): Promise<ReadonlyMap<string, ExportedMetric>> {
  const series = new Map<string, ExportedMetric>();
  const gatewayRegistry = new Registry();
  createGatewayMetrics(gatewayRegistry);
  registerStateGauges(gatewayRegistry, {
    clients: { size: 0 },
    registry: { subscriptionCount: 0, assignedAtMs: 0 },
    reauthorizer: { unconfirmed: 0 },
    readiness: { isDraining: false },
    cursors: [],
    nowMs: () => 0,
  });
  const processorRegistry = new Registry();
  createProcessorMetrics(processorRegistry);
  registerBuildInfo(processorRegistry, 'any');
  for (const registry of [gatewayRegistry, processorRegistry]) {
    for (const metric of await registry.getMetricsAsJSON()) {
      for (const name of seriesOf(metric)) {
        series.set(name, { name: metric.name, labels: labelsOf(registry, metric.name, name) });
      }
    }
  }
  return series;
}

function seriesOf({ name, type }: MetricObjectWithValues<MetricValue<string>>): readonly string[] {
  // prom-client names the kinds by words, its types by numbers.
  return String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function labelsOf(registry: Registry, metric: string, series: string): ReadonlySet<string> {
  const found: unknown = registry.getSingleMetric(metric);
  const names: unknown =
    typeof found === 'object' && found !== null && 'labelNames' in found ? found.labelNames : undefined;
  if (!Array.isArray(names)) throw new Error(`prom-client no longer tells the labels of ${metric}`);
  return new Set([...names.map(String), ...(series.endsWith('_bucket') ? ['le'] : [])]);
}
