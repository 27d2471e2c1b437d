import { openSystem } from '@app/demo/open-system';
import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { liveGatewayDashboard } from '../../src/deploy/dashboards/live-gateway-dashboard.ts';
import { processorDashboard } from '../../src/deploy/dashboards/processor-dashboard.ts';
import { readRuleGroups, ruleFiles } from '../../src/deploy/read-rules.ts';
import { findProgram } from './support/find-program.ts';
import { startPrometheus } from './support/start-prometheus.ts';

const prometheus = findProgram('prometheus');

const rule = z.object({
  name: z.string(),
  health: z.string(),
  lastError: z.string().optional(),
  state: z.string().optional(),
});
const ruleAnswer = z.object({ groups: z.array(z.object({ rules: z.array(rule) })) });
const queryAnswer = z.object({
  result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })),
});

const panels = [processorDashboard, liveGatewayDashboard].flatMap((dashboard) =>
  Object.values(dashboard.rows).flat(),
);

describe.skipIf(prometheus === undefined)('a real Prometheus', () => {
  test('with the real services evaluates every rule, answers every panel query, and detects a stopped processor', async () => {
    const imeis = ['350000000000017', '350000000000025'];
    await using open = await openSystem({ imeis });
    const { system, redis } = open;
    await using server = await startPrometheus(prometheus ?? '', {
      processor: await system.processor.readNumber('metricsPort'),
      'live-gateway': await system.gateway.readNumber('metricsPort'),
    });
    const rules = async () =>
      ruleAnswer.parse(await server.ask('rules')).groups.flatMap((group) => group.rules);
    const query = async (expr: string) =>
      queryAnswer.parse(await server.ask('query', { query: expr })).result;
    const publish = () =>
      redis.xadd(
        system.stream,
        '*',
        ...encodeFields({
          codec: '8E',
          position: {
            deviceId: imeis[0] ?? '',
            fixAtMs: Date.now(),
            latitude: 46.5,
            longitude: 7.25,
            altitudeM: 800,
            courseDeg: 90,
            speedKmh: 42,
            satellites: 9,
            priority: 0,
            attributes: {},
          },
        }),
      );

    const ruleCount = ruleFiles.flatMap(readRuleGroups).flatMap((group) => group.rules).length;
    const evaluated = await eventually(
      async () => {
        await publish();
        const all = await rules();
        return all.length === ruleCount && all.every(({ health }) => health !== 'unknown') ? all : undefined;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(evaluated.filter(({ state }) => state === 'firing')).toEqual([]);

    const refused: string[] = [];
    for (const { expr } of panels.flatMap((panel) => panel.queries)) {
      await query(expr).catch((error: unknown) => refused.push(`${expr}: ${String(error)}`));
    }
    expect(refused).toEqual([]);
    // The stats of the overviews must have a value as soon as the services run.
    const stats = panels.filter(({ kind }) => kind === 'stat');
    const empty = await eventually(
      async () => {
        await publish();
        const titles: string[] = [];
        for (const { title, queries } of stats) {
          const [first] = queries;
          if (first !== undefined && (await query(first.expr)).length === 0) titles.push(title);
        }
        // Without viewers and dead letters these have no value.
        const expected = new Set(['Dead letters in 24 h', 'Delivery latency (p95)', 'Lagging connections']);
        return titles.every((title) => expected.has(title)) ? titles : undefined;
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
    expect(stats.length - empty.length).toBeGreaterThanOrEqual(9);
    expect(Number((await query('max(stream:processor_consumer_lag_seconds:max)'))[0]?.value[1])).toBeLessThan(
      60,
    );

    await system.processor.stop();
    await eventually(
      async () => (await rules()).find(({ name, state }) => name === 'ProcessorDown' && state !== 'inactive'),
      { timeoutMs: 30_000, intervalMs: 500 },
    );
  }, 180_000);
});
