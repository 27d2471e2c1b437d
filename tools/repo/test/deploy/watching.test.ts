import { gatewaySettings } from '@app/live-gateway/config';
import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Dashboard } from '../../src/deploy/dashboards/dashboard.ts';
import { toGrafana } from '../../src/deploy/dashboards/dashboard.ts';
import { liveGatewayDashboard } from '../../src/deploy/dashboards/live-gateway-dashboard.ts';
import { processorDashboard } from '../../src/deploy/dashboards/processor-dashboard.ts';
import { readQuery } from '../../src/deploy/read-query.ts';
import { readRuleGroups, ruleFiles } from '../../src/deploy/read-rules.ts';
import { readRepositoryFile } from '../../src/deploy/repository.ts';
import { exportedMetrics } from './support/exported-metrics.ts';
import { anchorsOf } from './support/markdown-anchors.ts';

const rules = ruleFiles.flatMap((file) => readRuleGroups(file)).flatMap((group) => group.rules);
const alerts = rules.flatMap((rule) => (rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert }]));
const records = rules.flatMap((rule) => rule.record ?? []);
const dashboards: readonly Dashboard[] = [processorDashboard, liveGatewayDashboard];

const queries = [
  rules.map((rule) => readWith(rule.alert ?? rule.record ?? '', rule.expr)),
  dashboards.map((dashboard) => readWith(`${dashboard.title} > annotation`, annotationOf(dashboard))),
  dashboards.flatMap((dashboard) =>
    Object.values(dashboard.rows)
      .flat()
      .flatMap((panel) =>
        panel.queries.map(({ expr }) => readWith(`${dashboard.title} > ${panel.title}`, expr)),
      ),
  ),
].flat();

const exported = await exportedMetrics();
/** Labels that Prometheus and service discovery add to every series. */
const targetLabels = new Set(['job', 'instance', 'pod', 'namespace']);
/** Series of Prometheus itself. */
const builtIn = new Set(['up']);

function readWith(where: string, expr: string) {
  const { selectors, labels } = readQuery(expr);
  return { where, selectors, labels };
}

function annotationOf(dashboard: Dashboard): string {
  const shape = z.object({
    annotations: z.object({ list: z.tuple([z.object({ target: z.object({ expr: z.string() }) })]) }),
  });
  return shape.parse(toGrafana(dashboard)).annotations.list[0].target.expr;
}

describe('dashboards and rules', () => {
  test.for(queries)('query only existing series: $where', ({ selectors }) => {
    expect(selectors.length).toBeGreaterThan(0);
    const unknown = selectors
      .map(({ metric }) => metric)
      .filter((metric) => !exported.has(metric) && !records.includes(metric) && !builtIn.has(metric));
    expect(unknown).toEqual([]);
  });

  test.for(queries)('use only labels of their series: $where', ({ selectors, labels }) => {
    const known = new Set([...targetLabels, ...selectors.flatMap(({ metric }) => [...labelsOf(metric)])]);
    expect([...labels].filter((label) => !known.has(label))).toEqual([]);
    const foreign = selectors.flatMap(({ metric, labels: compared }) => {
      const allowed = new Set([...labelsOf(metric), ...targetLabels]);
      return [...compared.keys()]
        .filter((label) => !allowed.has(label))
        .map((label) => `${metric}: ${label}`);
    });
    expect(foreign).toEqual([]);
  });

  test('compare labels only with documented values', async () => {
    const documented = await Promise.all([
      documentedMetrics('Processor', 'processor_'),
      documentedMetrics('Live gateway', 'live_'),
    ]);
    const listed = new Map(documented.flat().map(({ name, labels }) => [name, labels]));
    const unlisted = queries.flatMap(({ where, selectors }) =>
      selectors.flatMap(({ metric, labels }) => {
        const known = listed.get(exported.get(metric)?.name ?? metric);
        return [...labels].flatMap(([label, values]) =>
          values
            .filter((value) => known?.get(label)?.includes(value) === false)
            .map((value) => `${where}: ${label}=${value}`),
        );
      }),
    );
    expect(unlisted).toEqual([]);
    expect(listed.size).toBeGreaterThan(20);
  });

  test('use every metric of the services', () => {
    const queried = new Set(
      queries.flatMap(({ selectors }) => selectors.map(({ metric }) => exported.get(metric)?.name)),
    );
    // Not all of the default metrics of prom-client are shown.
    const own = new Set(
      [...exported.values()].map(({ name }) => name).filter((name) => !/^(?:process|nodejs)_/u.test(name)),
    );
    expect([...own].filter((name) => !queried.has(name))).toEqual([]);
    expect(own.size).toBeGreaterThan(40);
  });

  test('use every recording rule', () => {
    const queried = new Set(queries.flatMap(({ selectors }) => selectors.map(({ metric }) => metric)));
    expect(records.filter((record) => !queried.has(record))).toEqual([]);
  });
});

function labelsOf(metric: string): ReadonlySet<string> {
  const rule = rules.find(({ record }) => record === metric);
  if (rule !== undefined) return readQuery(rule.expr).labels;
  return exported.get(metric)?.labels ?? new Set();
}

describe('a query', () => {
  test.for(['sum by (', 'rate(a_total[5m)', 'a_total{x=}', '{__name__="a"}'])(
    'like %s is refused',
    (expr) => {
      expect(() => readQuery(expr)).toThrow(/not PromQL|without a metric name|unknown matcher/u);
    },
  );
});

describe('an alert', () => {
  test.for(alerts)(
    '$alert has a severity, a summary, a description and a runbook',
    ({ labels, annotations, alert }) => {
      expect(labels['severity']).toMatch(/^(?:page|ticket)$/u);
      expect(Object.keys(annotations).toSorted()).toEqual(['description', 'runbook_url', 'summary']);
      const [file = '', anchor = ''] = (annotations['runbook_url'] ?? '').split('#');
      expect(anchor).toBe(alert.toLowerCase());
      expect(anchorsOf(readRepositoryFile(file))).toContain(anchor);
    },
  );

  test('has a unique name', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  });

  test.for(alerts)('$alert has promtool tests in which it fires and in which it does not', ({ alert }) => {
    const alertTests = ruleTests().filter(({ alertname }) => alertname === alert);
    expect(alertTests.some(({ exp_alerts: expected }) => expected.length === 0)).toBe(true);
    expect(alertTests.some(({ exp_alerts: expected }) => expected.length > 0)).toBe(true);
  });

  test('LiveFanoutSlow compares with the default LIVE_TICK_MS', () => {
    const tickSeconds = gatewaySettings.shape.LIVE_TICK_MS.parse(undefined) / 1000;
    expect(alerts.find(({ alert }) => alert === 'LiveFanoutSlow')?.expr).toMatch(
      new RegExp(`> ${tickSeconds}$`, 'u'),
    );
  });
});

function ruleTests() {
  const alertTest = z.object({ alertname: z.string(), exp_alerts: z.array(z.unknown()) });
  const shape = z.object({ tests: z.array(z.object({ alert_rule_test: z.array(alertTest).default([]) })) });
  return ruleFiles
    .map((file) => file.replace('prometheus/', 'prometheus/tests/').replace('.rules.', '.test.'))
    .flatMap((file) => shape.parse(parse(readRepositoryFile(file))).tests)
    .flatMap((ruleTest) => ruleTest.alert_rule_test);
}
