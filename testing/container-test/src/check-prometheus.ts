import assert from 'node:assert/strict';
import { eventually } from '@app/test-kit/eventually';
import type { Stack } from './stack.ts';

interface QueryAnswer {
  readonly data: { readonly result: readonly { readonly metric: { readonly job: string } }[] };
}
interface RulesAnswer {
  readonly data: { readonly groups: readonly { readonly rules: readonly { readonly health: string }[] }[] };
}

// More than two scrape intervals of 15 s.
const scrapeTimeoutMs = 90_000;

export async function checkPrometheus(stack: Stack): Promise<void> {
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${stack.prometheusUrl}${path}`, { signal: AbortSignal.timeout(5_000) });
    return JSON.parse(await response.text());
  };
  await eventually(
    async () => {
      const { data: up } = await get<QueryAnswer>('/api/v1/query?query=up%20%3D%3D%201');
      const jobs = up.result.map(({ metric }) => metric.job).toSorted();
      assert.deepEqual(jobs, ['live-gateway', 'live-gateway', 'processor']);
      const { data } = await get<RulesAnswer>('/api/v1/rules');
      const health = data.groups.flatMap(({ rules }) => rules.map((rule) => rule.health));
      assert.ok(health.length > 10, `only ${health.length} rules`);
      assert.deepEqual(new Set(health), new Set(['ok']));
      return true;
    },
    { timeoutMs: scrapeTimeoutMs, intervalMs: 500 },
  );
}
