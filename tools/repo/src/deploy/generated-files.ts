import { seedSql } from '@app/fleet-sim/seed-sql';
import { format } from 'oxfmt';
import { stringify } from 'yaml';
import { toGrafana } from './dashboards/dashboard.ts';
import { liveGatewayDashboard } from './dashboards/live-gateway-dashboard.ts';
import { processorDashboard } from './dashboards/processor-dashboard.ts';
import { describeSettings } from './describe-settings.ts';
import { readRuleGroups, ruleFiles } from './read-rules.ts';

export interface GeneratedFile {
  /** Relative to the repository root. */
  readonly path: string;
  readonly content: string;
}

/** All generated files of the repository with their current content. */
export async function generatedFiles(): Promise<readonly GeneratedFile[]> {
  return [
    { path: 'docs/configuration.md', content: describeSettings() },
    { path: 'deploy/directus/seed.sql', content: seedSql() },
    await formatted('deploy/grafana/processor.json', JSON.stringify(toGrafana(processorDashboard))),
    await formatted('deploy/grafana/live-gateway.json', JSON.stringify(toGrafana(liveGatewayDashboard))),
    await formatted('deploy/k8s/components/monitoring/prometheus-rule.yaml', prometheusRule()),
  ];
}

/** The rules of deploy/prometheus for the Prometheus operator. */
function prometheusRule(): string {
  const rule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'live-tracking' },
    spec: { groups: ruleFiles.flatMap(readRuleGroups) },
  };
  return `# Made by \`pnpm run generate\` from deploy/prometheus/*.rules.yml.\n${stringify(rule)}`;
}

/** Formats the content, so that the format check needs no exception for generated files. */
async function formatted(path: string, content: string): Promise<GeneratedFile> {
  const { code, errors } = await format(path, content, { printWidth: 110, singleQuote: true });
  if (errors.length > 0) throw new Error(`${path}: ${errors.map(({ message }) => message).join('; ')}`);
  return { path, content: code };
}
